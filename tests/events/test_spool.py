"""Whose turn it is to deliver."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vidclf.events.spool import Turn


def test_one_at_a_time_has_the_turn(tmp_path: Path) -> None:
    with Turn(tmp_path / "events.mqtt") as turn, Turn(tmp_path / "events.mqtt") as second:
        assert (turn.take(), second.take(), turn.take()) == (True, False, True)
        with Turn(tmp_path / "events.redis") as other:  # another spool, and had the same turn
            assert other.take()


@pytest.mark.parametrize(("code", "busy"), [(sqlite3.SQLITE_BUSY, True), (sqlite3.SQLITE_IOERR, False)])
def test_only_a_lock_is_somebody_elses_turn(tmp_path: Path, code: int, busy: bool) -> None:
    class Broken:
        def execute(self, _: str) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            raise error

        def close(self) -> None: ...

    with Turn(tmp_path / "events.sqlite") as turn:
        turn._db = Broken()  # type: ignore[assignment]
        if busy:
            assert not turn.take()
        else:
            with pytest.raises(OSError) as told:
                turn.take()
            assert str(told.value) == f"{tmp_path / 'events.sqlite.turn'}: disk I/O error"
