"""What may wait."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from vidclf.errors import UsageError
from vidclf.events.message import Message
from vidclf.events.spool import Spool


def events(*texts: str) -> list[Message]:
    return [Message("", "", text) for text in texts]


def held(spool: Spool) -> list[str]:
    return [waiting.message.payload for waiting in spool.oldest(1000)]


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        ({"max_events": 3}, ["ccc", "d", "ee"]),
        ({"max_bytes": 6}, ["ccc", "d", "ee"]),
        ({"max_bytes": 4}, ["ccc", "d", "ee"]),  # a part of the first of them is within the bound
        ({"max_bytes": 3}, ["d", "ee"]),
        ({"max_bytes": 1}, ["ee"]),
        ({"max_events": 2, "max_bytes": 6}, ["d", "ee"]),
        ({"max_events": 3, "max_bytes": 3}, ["d", "ee"]),
        ({}, ["a", "bb", "ccc", "d", "ee"]),
    ],
)
def test_the_oldest_go_beyond_either_bound(tmp_path: Path, bounds: dict[str, int], left: list[str]) -> None:
    with Spool(tmp_path / "events.sqlite", **bounds) as spool:
        dropped = [spool.put(events(text)) for text in ("a", "bb", "ccc", "d", "ee")]
        assert held(spool) == left
        assert sum(dropped) == 5 - len(left)


def test_what_was_delivered_counts_no_more(tmp_path: Path) -> None:
    with Spool(tmp_path / "events.sqlite", max_events=3, max_bytes=4) as spool:
        assert spool.put([]) == 0
        spool.put(events("a", "b", "c"))
        spool.remove(each.id for each in spool.oldest(2))
        assert spool.put(events("d", "ee")) == 0
        spool.remove(each.id for each in spool.oldest(3))
        assert len(spool) == 0
        assert spool.put(events("f", "ggg")) == 0
        assert held(spool) == ["f", "ggg"]


def test_an_event_is_put_as_quickly_into_a_full_spool_as_into_an_empty_one(tmp_path: Path) -> None:
    """In steps of SQLite's virtual machine, which a busy computer does not change."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with Spool(tmp_path / "events.sqlite", max_events=2000) as spool:
        spool.put(events("a"))
        needed = []
        for waiting in (0, 1500, 1000):  # some, many, and as many as there may be
            spool.put(events(*["a"] * waiting))
            spool._db.set_progress_handler(count, 1)
            steps = 0
            spool.put(events("a"))
            needed.append(steps)
            spool._db.set_progress_handler(None, 0)
        assert len(spool) == 2000
        assert max(needed) < 2 * needed[0]


def test_a_spool_that_cannot_be_read_says_so_in_one_way(tmp_path: Path) -> None:
    with Spool(tmp_path / "events.sqlite") as spool:
        spool._db.execute("drop table events")
        for ask in (lambda: len(spool), lambda: spool.oldest(1), lambda: spool.put(events("a"))):
            with pytest.raises(OSError) as told:
                ask()
            assert str(told.value) == f"{spool.path}: no such table: events"


@pytest.mark.parametrize(("first", "last", "byte"), [(100, None, b"x"), (8192, None, b"x"), (0, 4096, b"\0")])
def test_a_damaged_spool_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: int, last: int | None, byte: bytes
) -> None:
    """It must not keep a recorder from starting, or its events from being sent, for good."""
    path = tmp_path / "mine.sqlite"
    with Spool(path) as spool:
        spool.put(events(*(str(n) * 200 for n in range(500))))
    content = bytearray(path.read_bytes())
    content[first:last] = byte * len(content[first:last])
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "vidclf"), Spool(path, check=True) as spool:
        spool.put(events("a"))
        assert held(spool) == ["a"]
    assert "and now called mine.sqlite.damaged; its events are lost" in caplog.text
    assert (tmp_path / "mine.sqlite.damaged").stat().st_size == len(content)


def test_a_file_that_is_no_spool_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is no database" * 100)
    with pytest.raises(UsageError, match=r"cannot store events in .*notes\.txt: file is not a database"):
        Spool(tmp_path / "notes.txt", check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_span_is_as_many_or_more(tmp_path: Path) -> None:
    with Spool(tmp_path / "events.sqlite") as spool:
        assert spool.span() == 0
        spool.put(events("a", "b", "c"))
        spool.remove([spool.oldest(3)[1].id])
        assert (spool.span(), len(spool)) == (3, 2)
