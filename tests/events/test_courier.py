"""A courier goes on, whatever stands in its way."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.brokers import wait_for
from vidclf.events import courier
from vidclf.events.broker import Refused, Unreachable, connect, parse_url
from vidclf.events.courier import Courier
from vidclf.events.message import Message
from vidclf.events.spool import Spool, Waiting
from vidclf.lock import NameLock


class Memory:
    """A broker that keeps what it is sent, unless `trouble` is what it raises once."""

    def __init__(self, trouble: Exception | None = None):
        self.got: list[Message] = []
        self._trouble = trouble

    def open(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def send(self, messages: Sequence[Message]) -> dict[int, Refused | Unreachable]:
        self.got += messages
        return {}

    def idle(self, seconds: float) -> None:
        sleep(seconds)

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "PAUSES", (0.02, 0.05))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A spool with one event."""
    path = tmp_path / "events.sqlite"
    with Spool(path) as spool:
        spool.put([Message("topic", "key", "{}")])
    return path


def test_what_nobody_thought_of_is_told_once_and_tried_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Memory(RuntimeError("no luck"))
    with caplog.at_level(logging.WARNING, "vidclf"), Courier(broker, path, "the broker", 5):
        wait_for(lambda: "is reachable again" in caplog.text)
    assert [message.key for message in broker.got] == ["key"]
    assert [record.getMessage() for record in caplog.records] == [
        f"the broker: RuntimeError: no luck; events are waiting in {path}",
        "the broker is reachable again",
    ]


def test_an_event_of_the_last_moment_is_delivered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was put between a look into the empty spool and the end, and waited for the next run."""
    broker, oldest = Memory(), Spool.oldest
    courier = Courier(broker, path, "the broker", 5)

    def look(spool: Spool, count: int) -> list[Waiting]:
        events = oldest(spool, count)
        if not events and not courier._ending.is_set():
            spool.put([Message("topic", "last", "{}")])
            courier._ending.set()
        return events

    monkeypatch.setattr(Spool, "oldest", look)
    with courier:
        wait_for(courier._ending.is_set)
    assert [message.key for message in broker.got] == ["key", "last"]


def test_one_at_a_time_delivers_from_a_spool(path: Path) -> None:
    others, broker = NameLock(path), Memory()
    assert others.acquire()
    with Courier(broker, path, "the broker", 5):
        sleep(0.2)
        assert not broker.got
        others.release()
        wait_for(lambda: broker.got)
        assert not others.acquire()
    assert others.acquire()
    others.release()


def test_a_process_that_cannot_reach_its_broker_gives_the_turn_to_one_that_can(path: Path) -> None:
    """It has an old password, perhaps; both share the spool of that broker."""

    class Away(Memory):
        def open(self) -> None:
            raise Unreachable("it refused the connection: Not authorized")

    broker = Memory()
    with Courier(Away(), path, "the broker", 0) as lost:
        wait_for(lambda: lost.problem)
        with Courier(broker, path, "the broker", 20):
            wait_for(lambda: broker.got)


def test_what_was_delivered_is_not_sent_again_although_it_cannot_be_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk SQLite cannot delete, either."""
    broker, full, remove = Memory(), [True], Spool.remove

    def removed(spool: Spool, ids: Iterable[int]) -> None:
        if full:
            raise OSError("database or disk is full")
        remove(spool, ids)

    monkeypatch.setattr(Spool, "remove", removed)
    with Spool(path) as spool, Courier(broker, path, "the broker", 5):
        wait_for(lambda: broker.got)
        spool.put([Message("topic", "second", "{}")])
        wait_for(lambda: len(broker.got) == 2)
        full.clear()
        spool.put([Message("topic", "third", "{}")])
        wait_for(lambda: len(broker.got) == 3 and not len(spool))
    assert [message.key for message in broker.got] == ["key", "second", "third"]


def test_a_courier_whose_turn_does_not_come_ends_soon(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for the whole of `linger`, after every clip of a batch, and its thread stayed."""
    monkeypatch.setattr(courier, "STUCK", 0.1)
    others, broker = NameLock(path), Memory()
    assert others.acquire()
    with Courier(broker, path, "the broker", 60) as ours:
        began = monotonic()
    assert monotonic() - began < 30
    wait_for(lambda: not ours._thread.is_alive())
    assert not broker.got
    others.release()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that cannot be locked is another's there")
def test_a_lock_that_cannot_be_had_is_told_and_asked_for_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock, broker = NameLock(path).file, Memory()
    lock.mkdir()
    with caplog.at_level(logging.WARNING, "vidclf"), Courier(broker, path, "the broker", 5):
        wait_for(lambda: caplog.records)
        lock.rmdir()
        wait_for(lambda: broker.got)
    assert re.fullmatch(
        rf"the broker: .*Is a directory.*{re.escape(lock.name)}'; events are waiting in {re.escape(str(path))}",
        caplog.records[0].getMessage(),
    )


def test_a_host_that_no_name_can_be_counts_as_unreachable(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    broker = connect(parse_url("redis://cam..local"))
    with caplog.at_level(logging.WARNING, "vidclf"), Courier(broker, path, "the broker", 5):
        wait_for(lambda: caplog.records)
    told = caplog.records[0].getMessage()
    assert told.startswith("the broker: encoding with 'idna' codec failed (") and told.endswith(
        f"events are waiting in {path}"
    )
