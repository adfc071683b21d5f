"""Keeps events on disk until a broker has confirmed them; they survive any end of the process."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from vidclf.errors import UsageError, VidclfError
from vidclf.events.message import Message
from vidclf.files import not_now

log = logging.getLogger(__name__)

MOST_CHECKED = 256 << 20  # bytes of a spool, which are read in a second or so
PREFIX = "events-"  # of a spool's usual name
PATIENCE = 5.0  # seconds to wait for another connection's write, which takes milliseconds
# `upto`: bytes up to and including this event, counted from the oldest. Ids and bytes only grow, so the bytes waiting
# are the difference of two rows, however many are between them.
TABLE = """
create table if not exists events (
    id integer primary key autoincrement, topic text not null, key text not null, payload text not null,
    upto integer not null
)
"""
PUT = """
insert into events (topic, key, payload, upto)
values (?1, ?2, ?3, coalesce((select upto from events order by id desc limit 1), 0) + ?4)
"""
# By id alone, which is indexed: `upto` grows with it, so everything beyond either limit is before one event. The inner
# search for that event visits only those to be deleted, so a spool that is full for hours causes no delay.
TRIM = """
delete from events where id < max(
    (select max(id) from events) - ?1 + 1,
    (select id from events where upto > (select upto from events order by id desc limit 1) - ?2 order by id limit 1)
)
"""


class Waiting(NamedTuple):
    """An event in the spool."""

    id: int
    message: Message


class Spool:
    """One connection to a spool file (SQLite); any number of threads and processes may have one each.

    max_events, max_bytes: beyond either, `put` drops the oldest.
    check: look for damage in all of it, not only in its beginning; a damaged one is put aside.
    Raises UsageError if the file cannot be opened, VidclfError if not just now, and OSError later, for example when the
    disk is full.
    """

    def __init__(self, path: Path, max_events: int = 100_000, max_bytes: int = 100 << 20, check: bool = False):
        self.path, self._bounds = path, (max_events, max_bytes)
        try:
            # Private: it tells what cameras see. On Windows a home is, and 0o700 would bar all but its maker.
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o777 if sys.platform == "win32" else 0o700)
            try:
                self._db = _open(path, check)
            except sqlite3.OperationalError:  # it may be well another time: the disk is full, the file is locked
                raise
            except sqlite3.DatabaseError as error:
                if not _is_spool(path):  # somebody's file, by mistake
                    raise
                _put_aside(path, error)
                self._db = _open(path, check)
        except OSError as error:
            raise not_now(error)(f"cannot store events in {path}: {error}") from None
        except sqlite3.Error as error:
            kind = VidclfError if any(word in str(error) for word in ("locked", "full", "I/O")) else UsageError
            raise kind(f"cannot store events in {path}: {error}") from None

    def put(self, messages: Iterable[Message]) -> int:
        """Add events, all or none; returns how many of the oldest were dropped."""
        rows = [(*message, sum(len(text.encode()) for text in message)) for message in messages]
        try:
            with self._db:
                self._db.execute("begin immediate")
                self._db.executemany(PUT, rows)
                return self._db.execute(TRIM, self._bounds).rowcount
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def oldest(self, limit: int) -> list[Waiting]:
        """The events that have waited longest, in order."""
        try:
            rows = self._db.execute("select id, topic, key, payload from events order by id limit ?", (limit,))
            return [Waiting(row[0], Message(*row[1:])) for row in rows]
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def remove(self, ids: Iterable[int]) -> None:
        """Forget events that were delivered."""
        try:
            with self._db:
                self._db.execute("begin immediate")
                self._db.executemany("delete from events where id = ?", [(each,) for each in ids])
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def __len__(self) -> int:
        return self._number("count(*)")

    def span(self) -> int:
        """About how many events wait: as many or more, found without counting them."""
        return self._number("coalesce(max(id) - min(id) + 1, 0)")

    def _number(self, what: str) -> int:
        try:
            (number,) = self._db.execute(f"select {what} from events").fetchone()
            return int(number)
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from None

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path, check: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        # With a write-ahead log one connection writes while another reads, and a commit does not wait for the disk;
        # committed data is held by the operating system, so it survives a killed process.
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute(TABLE)
        if (
            check
            and path.stat().st_size < MOST_CHECKED
            and (health := db.execute("pragma quick_check(1)").fetchone()[0]) != "ok"
        ):
            raise sqlite3.DatabaseError(health)
    except BaseException:
        db.close()
        raise
    return db


def _is_spool(path: Path) -> bool:
    """Whether a damaged file was a spool, by its name or its beginning."""
    with path.open("rb") as file:
        return path.name.startswith(PREFIX) or file.read(16) in (b"SQLite format 3\0", bytes(16))  # after a power cut


def _put_aside(path: Path, error: Exception) -> None:
    """Rename a spool that is damaged: that costs its events, but must not end the recording of what comes."""
    damaged = path.with_name(f"{path.name}.damaged")
    path.replace(damaged)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    log.warning("%s is damaged (%s), and now called %s; its events are lost", path, error, damaged.name)


def usual_path(destination: str) -> Path:
    """The default spool for a destination; the same in every run."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "vidclf" / f"{PREFIX}{sha256(destination.encode()).hexdigest()[:16]}.sqlite"
