"""Record: writes one row per detection, as JSONL, CSV or Parquet, while the pipeline runs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from time import perf_counter, time
from types import TracebackType
from typing import Self, TextIO

from vidclf.errors import UsageError, VidclfError
from vidclf.files import Made, NoSpaceError, PartFile, no_space, put_aside
from vidclf.frame import Frame
from vidclf.rows import AT, COLUMNS, SCHEMA, Row, to_row, utc
from vidclf.stages._leftovers import holds_lines, holds_nothing, name_leftovers
from vidclf.stages._pause import Pause
from vidclf.units import to_seconds
from vidclf.video.naming import stamped, sweep, unstamped

STDOUT = "-"
ROW_GROUP = 10_000  # rows Parquet holds before it writes them


class Record:
    """Write a row for every detection to `path`: .jsonl, .csv or .parquet, all with the same columns; - is stdout.

    at: add a column `at`, the date and time (UTC) when the frame was captured, as a live source's `time` has no date.
    frames: also write a row for every frame, with no box and empty labels, so that frames without detections appear.
    segment: begin a new file after this time (1d), with its beginning in the name: of live sources the date, UTC, else
    the position in the source, hhmmss. keep: delete a live source's files once they are this old (30d).
    force: overwrite an existing file. The file is called `path`.part until it is complete.
    A part that a live source's run left unfinished is kept as `path`.part-1, -2, ...
    """

    def __init__(
        self,
        path: str = "",
        frames: bool = False,
        force: bool = False,
        at: bool = False,
        segment: float | str | None = None,
        keep: float | str | None = None,
    ):
        if not str(path):
            raise UsageError("record needs a path")
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self.frames, self.force, self.at = frames, force, at
        self.made = Made()  # in the last run, or in this one
        self.segment = None if segment is None else to_seconds(segment, "segment")
        self.keep = None if keep is None else to_seconds(keep, "keep")
        if keep is not None and segment is None:
            raise UsageError("keep deletes old segments; also set segment")
        if str(path) == STDOUT:
            if segment is not None:
                raise UsageError("segment cuts a record into files, and stdout is none; set path")
            with stdout():  # report a closed stdout now
                return
        if self.suffix not in TABLES:
            raise UsageError(f"cannot record to {self.path.name}: the suffix must be one of {', '.join(TABLES)}")
        PartFile(self.path, force)  # report a bad path now rather than after the first frame

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        self.made = Made()
        frames = iter(frames)
        first = list(islice(frames, 1))  # a source that fails at once leaves no file
        live = all(frame.source.live for frame in first)  # without any, it may be a camera that was never there
        if live and str(self.path) != STDOUT:
            name_leftovers(unstamped(self.path), holds_nothing if self.suffix == ".parquet" else holds_lines)
        with _Files(self, live) as files:
            if not first:
                files.open(self.path)
            for frame in chain(first, frames):
                files.write(frame)
                yield frame


class _Files:
    """`with _Files(...) as files: files.write(frame)`: the file of one run, or one after another.

    If there is no space left for live sources, their file ends, and the next begins when there is some again; not
    Parquet, which cannot be read up to there.
    """

    def __init__(self, record: Record, live: bool):
        self._record, self._live = record, live
        self._since_1970 = time() - perf_counter()  # once: the clock may be set meanwhile
        self._columns = COLUMNS | AT if record.at else COLUMNS
        self._stack = ExitStack()
        self._table: JsonLines | Csv | Parquet | None = None
        self._begin = 0.0
        self._taken: set[Path] = set()
        self._pause = Pause("detections")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
        except NoSpaceError as failure:
            if not self._gave_up(failure, 0):
                raise

    def write(self, frame: Frame) -> None:
        """Write the rows of a frame, unless there is no space."""
        now = frame.captured if self._live else frame.time
        if self._pause.holds(now):
            return
        try:
            segment = self._record.segment
            if not self._table or (segment and now >= self._begin + segment):
                self._table, self._begin = None, now
                self._stack.close()
                self.open(self._path(frame))
            self._write(frame)
        except (OSError, NoSpaceError) as error:
            if not self._gave_up(error, now):
                raise
        else:
            self._pause.wrote(self._begin, now)

    def open(self, path: Path) -> None:
        self._table = self._stack.enter_context(self._file(path))

    def _write(self, frame: Frame) -> None:
        assert self._table
        more = {"at": utc(self._since_1970 + frame.captured)} if self._record.at else {}
        if self._record.frames:
            self._table.write(to_row(frame, None) | more)
        for detection in frame.detections:
            self._table.write(to_row(frame, detection) | more)

    def _path(self, frame: Frame) -> Path:
        """The path of the file that begins with a frame; deletes files that are old enough."""
        record = self._record
        if not record.segment and not self._taken:
            self._taken.add(record.path)
            return record.path
        base, seconds = record.path, frame.time
        if self._live:
            base, seconds = unstamped(record.path), self._since_1970 + frame.captured
            if record.keep:
                sweep([base], record.keep, None, self._taken)
        self._taken.add(path := stamped(base, frame.source, seconds, self._taken))
        return path

    def _gave_up(self, error: BaseException, now: float) -> bool:
        """Whether an error says that there is no space for live sources; if so, end their file, and warn once."""
        if not self._can_wait(error):
            return False
        self._table = None
        with suppress(NoSpaceError):  # that of this file, again
            self._stack.__exit__(type(error), error, error.__traceback__)
        self._pause.begin(self._record.path.parent, now)
        return True

    def _can_wait(self, error: BaseException) -> bool:
        return self._live and no_space(error) and self._record.suffix in (".jsonl", ".csv")

    @contextmanager
    def _file(self, path: Path) -> Iterator[JsonLines | Csv | Parquet]:
        if str(path) == STDOUT:
            with stdout(), JsonLines(None, self._columns) as table:
                yield table
            return
        full: OSError | None = None
        whole = PartFile(path, self._record.force)
        try:
            with whole as part:
                if self._live:
                    put_aside(part)
                try:
                    with TABLES[self._record.suffix](part, self._columns) as table:
                        yield table
                except OSError as error:
                    if not self._can_wait(error):
                        raise
                    full = error
                    if not holds_lines(part):
                        part.unlink(missing_ok=True)
        finally:
            if whole.is_complete:
                self._record.made.add(path)
        if full:  # the file has its name nevertheless: it can be read up to here
            raise NoSpaceError(f"cannot write {path}: {full.strerror}")


@contextmanager
def stdout() -> Iterator[TextIO]:
    """Stdout, flushed at the end; VidclfError if it is closed or full, BrokenPipeError if nobody reads it."""
    if sys.stdout is None:
        raise VidclfError("cannot write to stdout: it is closed")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VidclfError(f"cannot write to stdout: {error.strerror or error}") from None


def needs_ascii(file: TextIO) -> bool:
    """Whether a text file or stdout cannot encode every character, so that JSON has to escape them."""
    return (file.encoding or "").lower().replace("-", "") != "utf8"


class _Lines:
    """A text file, or stdout, with one row per line; each line is written at once, so a killed process loses none."""

    def __init__(self, part: Path | None):
        self.file = part.open("w", encoding="utf-8", newline="", buffering=1) if part else sys.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not sys.stdout:
            self.file.close()


class JsonLines(_Lines):
    """JSON, one row per line; the first line is a header."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part)
        self._ascii = needs_ascii(self.file)
        self.file.write(json.dumps({"schema": SCHEMA, "columns": list(columns)}) + "\n")

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row, ensure_ascii=self._ascii) + "\n")


class Csv(_Lines):
    """Comma-separated values with a line of column names; null is an empty field."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part)
        self._writer = csv.DictWriter(self.file, list(columns), lineterminator="\n", extrasaction="ignore")
        self._writer.writeheader()

    def write(self, row: Row) -> None:
        self._writer.writerow(row)


class Parquet:
    """Apache Parquet, in groups of rows; readable once it is closed."""

    def __init__(self, part: Path, columns: Mapping[str, str] = COLUMNS):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._arrow = pa
        self._schema = pa.schema(list(columns.items()), metadata={"vidclf_schema": str(SCHEMA)})
        self._writer = pq.ParquetWriter(part, self._schema)
        self._rows: list[Row] = []

    def __enter__(self) -> Parquet:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


TABLES: dict[str, type[JsonLines | Csv | Parquet]] = {".jsonl": JsonLines, ".csv": Csv, ".parquet": Parquet}
