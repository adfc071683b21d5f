"""What Redis takes is not sent again, whatever it does with the rest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import RedisServer, wait_for
from vidclf.events import courier
from vidclf.events.broker import connect, parse_url
from vidclf.events.courier import Courier
from vidclf.events.message import Message
from vidclf.events.spool import Spool

redis = pytest.importorskip("redis")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Events for a stream, and one among them for another."""
    with Spool(tmp_path / "events.sqlite") as spool:
        topics = ["hall"] * 5 + ["door"] + ["hall"] * 5
        spool.put([Message(topic, str(number), "{}") for number, topic in enumerate(topics)])
        yield spool


def deliver(redis_server: RedisServer, spool: Spool) -> Courier:
    return Courier(connect(parse_url(f"redis://127.0.0.1:{redis_server.port}")), spool.path, "the broker", 5)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (["SET", "door", "mine"], "WRONGTYPE Operation against"),
        (["ACL", "SETUSER", "default", "resetkeys", "~hall"], "ermissions to access"),
    ],
)
def test_what_will_never_be_taken_is_dropped_and_told(
    redis_server: RedisServer,
    client: Any,
    spool: Spool,
    caplog: pytest.LogCaptureFixture,
    prepare: list[str],
    reason: str,
) -> None:
    client.execute_command(*prepare)
    with caplog.at_level(logging.WARNING, "vidclf"), deliver(redis_server, spool) as sent:
        wait_for(lambda: not len(spool))
    assert (sent.delivered, sent.refused, client.xlen("hall")) == (10, 1, 10)
    told, total = [record.getMessage() for record in caplog.records]
    assert told.startswith("the broker rejected an event for door: ") and told.endswith("; rejected events are dropped")
    assert reason in told  # in the words of this version of Redis
    assert total == "the broker rejected events: 1"


def test_a_server_that_is_full_for_a_while_gets_all_of_them_once(
    redis_server: RedisServer,
    client: Any,
    spool: Spool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courier, "PAUSES", (0.02, 0.05))
    client.config_set("maxmemory", 1)
    with caplog.at_level(logging.WARNING, "vidclf"), deliver(redis_server, spool) as sent:
        wait_for(lambda: caplog.records)
        assert len(spool) == 11
        client.config_set("maxmemory", 0)
        wait_for(lambda: not len(spool))
    assert (sent.delivered, sent.refused, client.xlen("hall"), client.xlen("door")) == (11, 0, 10, 1)
    assert caplog.records[0].getMessage().startswith("the broker: command not allowed when used memory > 'maxmemory'")
