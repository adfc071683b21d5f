"""The manifest: an SQLite file with every clip, its state, and the configuration it was processed with."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from vidclf.batch.checks import check
from vidclf.batch.clips import Clip
from vidclf.batch.job import Outcome
from vidclf.batch.names import name_outputs
from vidclf.errors import UsageError, VidclfError, one_line

SCHEMA = 1
# What SQLite says about other files, and about damaged ones.
FOREIGN = ("not a database", "no such column", "has no column")
DAMAGED = ("malformed", "decode", "unsupported file format")
TABLES = """
CREATE TABLE IF NOT EXISTS clips (
    path TEXT PRIMARY KEY,          -- below the folder of clips, with / between its parts
    name TEXT NOT NULL UNIQUE,      -- of its outputs, without suffix
    size INTEGER,                   -- bytes; this and the next two as when it was processed
    mtime_ns INTEGER,
    sha256 TEXT,
    status TEXT NOT NULL DEFAULT 'pending',  -- pending, running, done, failed
    attempts INTEGER NOT NULL DEFAULT 0,     -- with this content and configuration
    error TEXT,                     -- why it, or the latest attempt, failed
    config TEXT,                    -- hash of the configuration and weights of the latest attempt; null if it failed,
                                    -- maybe not through the clip's fault
    outputs TEXT NOT NULL DEFAULT '{}',      -- file: hash of its configuration and weights
    frames INTEGER, seconds REAL,   -- output frames; seconds of video
    ledger TEXT, detections INTEGER, labels TEXT, fps REAL, wall_s REAL, warnings TEXT,
    began TEXT, ended TEXT,         -- UTC
    thumbnail BLOB                  -- WebP
);
CREATE INDEX IF NOT EXISTS by_status ON clips (status);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""
# How often clips have begun or ended; their times may go back with the clock.
COUNT = "INSERT INTO facts VALUES ('changes', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"


class Manifest:
    """The state of a batch; each change is on disk when the method returns. One process writes, others may read.

    Raises UsageError if the file is not a manifest, has another version, or names results outside of their folder;
    VidclfError if it is damaged or cannot be written.
    """

    def __init__(self, path: Path):
        self._path = path
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA):
                raise UsageError(f"{path} has version {version}, but this vidclf supports {SCHEMA}; use another folder")
            self._db.execute("PRAGMA journal_mode=WAL")
            # A clip's results survive a power cut; without its row, they would be somebody else's.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(TABLES)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def close(self) -> None:
        with self._explained():
            self._db.close()

    def copy(self, path: Path) -> None:
        """Copy everything to another file."""
        with self._explained():
            other = sqlite3.connect(path)
            try:
                self._db.backup(other)
            finally:
                other.close()

    def enter(self, clips: Iterable[Clip]) -> dict[str, sqlite3.Row]:
        """Add rows for new clips, with a name for their outputs; returns name, identity and state of these, by path.

        A watch enters few clips at a time, while the manifest grows: the rows of other clips are not read.
        """
        with self._transaction():
            paths = [clip.path for clip in clips]
            rows = self._rows_of(paths)
            if new := [path for path in paths if path not in rows]:
                known = {row["path"]: row["name"] for row in self._select("SELECT path, name FROM clips")}
                names = name_outputs(new, known)
                self._db.executemany(
                    "INSERT INTO clips (path, name) VALUES (?, ?)", [(path, names[path]) for path in new]
                )
                rows |= self._rows_of(new)
            return rows

    def forget(self, paths: Iterable[str]) -> None:
        """Remove clips, for example because they no longer exist."""
        with self._transaction():
            self._db.executemany("DELETE FROM clips WHERE path = ?", [(path,) for path in paths])

    def interrupted(self) -> list[sqlite3.Row]:
        """Clips that were running when a process ended."""
        return list(self._select("SELECT path, name, outputs FROM clips WHERE status = 'running'"))

    def set_pending(self, paths: Iterable[str], error: str | None = None) -> None:
        """Mark these clips as still to be processed; error: why an earlier attempt failed."""
        with self._transaction():
            rows = [(error, path) for path in paths]
            self._db.executemany("UPDATE clips SET status = 'pending', error = ? WHERE path = ?", rows)

    def claim(self, paths: Iterable[str]) -> None:
        """Mark these clips as begun, so that files with their names belong to this batch."""
        with self._transaction():
            # The count starts again with the first attempt, because no configuration is noted yet.
            rows = [(path,) for path in paths]
            self._db.executemany("UPDATE clips SET attempts = 1 WHERE path = ? AND attempts = 0", rows)

    def touch(self, path: str, mtime_ns: int) -> None:
        """The clip has another modification time, but the same content."""
        with self._transaction():
            self._db.execute("UPDATE clips SET mtime_ns = ? WHERE path = ?", (mtime_ns, path))

    def begin(self, clip: Clip, config: str) -> None:
        """An attempt begins. It counts as the first one if the clip or the configuration has changed since the last."""
        with self._transaction():
            self._db.execute(
                "UPDATE clips SET status = 'running', began = ?, ended = NULL, config = ?, size = ?, mtime_ns = ?, "
                "attempts = 1 + CASE WHEN config IS ? AND size IS ? AND mtime_ns IS ? THEN attempts ELSE 0 END "
                "WHERE path = ?",
                (now(), config, clip.size, clip.mtime_ns, config, clip.size, clip.mtime_ns, clip.path),
            )
            self._db.execute(COUNT)

    def finish(self, outcome: Outcome, outputs: dict[str, str]) -> None:
        """The clip is done, or has failed permanently. outputs: its current outputs, and the configuration of each."""
        stats = outcome.stats
        values = {
            "status": "failed" if outcome.error else "done",
            "error": outcome.error or None,
            "outputs": json.dumps(outputs, ensure_ascii=False),
            "frames": stats.get("ledger", {}).get("finished", 0),
            "seconds": round(outcome.seconds, 3),
            "ledger": json.dumps(stats.get("ledger", {})),
            "detections": stats.get("detections", 0),
            "labels": json.dumps(stats.get("labels", {}), ensure_ascii=False),
            "fps": stats.get("fps", 0.0),
            "wall_s": stats.get("wall_s", 0.0),
            "warnings": json.dumps(outcome.warnings, ensure_ascii=False),
            "ended": now(),
            "thumbnail": outcome.thumbnail,
        }
        if outcome.sha256:
            values["sha256"] = outcome.sha256
        if outcome.fault == "passing" or (outcome.error and not outcome.sha256):
            values["config"] = None  # the fault may be over, or the clip readable: the next run tries it again
        if outcome.size:
            values |= {"size": outcome.size, "mtime_ns": outcome.mtime_ns}
        columns = ", ".join(f"{name} = :{name}" for name in values)
        with self._transaction():
            self._db.execute(f"UPDATE clips SET {columns} WHERE path = :path", values | {"path": outcome.path})
            self._db.execute(COUNT)

    def rows(self, columns: str = "*") -> Iterator[sqlite3.Row]:
        """All clips, sorted by path."""
        return self._select(f"SELECT {columns} FROM clips ORDER BY path")

    def state(self) -> str:
        """A text that changes whenever a clip was added, removed, begun or ended."""
        with self._explained():
            sums = "count(*), group_concat(DISTINCT status), (SELECT value FROM facts WHERE name = 'changes')"
            return json.dumps(tuple(self._db.execute(f"SELECT {sums} FROM clips").fetchone()), default=str)

    def fact(self, name: str) -> str | None:
        """A value noted about the whole batch."""
        with self._explained():
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row["value"]) if row else None

    def note(self, name: str, value: str) -> None:
        """Note a value about the whole batch; `fact` returns it."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _rows_of(self, paths: Iterable[str]) -> dict[str, sqlite3.Row]:
        """What a plan needs to know of these clips, by path; without those that have no row."""
        columns = "path, name, size, mtime_ns, sha256, status, attempts, config, outputs, error"
        query = f"SELECT {columns} FROM clips WHERE path = ?"
        return {path: row for path in paths for row in self._select(query, path)}

    def _select(self, query: str, *values: str) -> Iterator[sqlite3.Row]:
        """The rows of a query, checked."""
        with self._explained():
            for row in self._db.execute(query, values):
                try:
                    check(row)
                except UsageError as error:
                    raise UsageError(f"{self._path}: {error}") from None
                except (ValueError, RecursionError) as error:
                    raise self._damaged(error) from None
                yield row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # in the text of SQLite's error
            raise self._damaged(error) from None
        except sqlite3.DatabaseError as error:
            if any(words in str(error) for words in FOREIGN):
                raise UsageError(f"{self._path} is not a manifest of vidclf batch: {error}") from None
            if any(words in str(error) for words in DAMAGED):
                raise self._damaged(error) from None
            raise VidclfError(f"cannot write {self._path}: {error}") from None

    def _damaged(self, error: Exception) -> VidclfError:
        return VidclfError(
            f"{self._path} is damaged ({one_line(error)}); delete it, then --force processes all clips again"
        )


def now() -> str:
    """The current time in the format of the manifest."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
