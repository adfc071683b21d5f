"""Record: writes one row per detection, as JSONL, CSV or Parquet, while the pipeline runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from vidclf.errors import UsageError
from vidclf.files import Made, NoSpaceError, PartFile
from vidclf.frame import Frame
from vidclf.rows import AT, COLUMNS, since_1970, to_row, utc
from vidclf.stages._leftovers import name_leftovers, put_aside
from vidclf.stages._output import Output, ends_when_full
from vidclf.stages._pause import Pause
from vidclf.stdout import STDOUT, stdout
from vidclf.tables import TABLES, JsonLines, Table
from vidclf.units import to_seconds
from vidclf.video.address import refuse_url
from vidclf.video.naming import stamped, sweep, unstamped


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
        refuse_url(str(path))
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self.frames, self.force, self.at = frames, force, at
        self.made = Made()  # in the last run, or in this one
        self.pauses: list[Pause] = []  # likewise; `serve` tells their reasons
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
        self.made, self.pauses = Made(), []
        frames = iter(frames)
        first = list(islice(frames, 1))  # a source that fails at once leaves no file
        live = all(frame.source.live for frame in first)  # without any, it may be a camera that was never there
        form = TABLES.get(self.suffix)  # None: stdout
        if live and form:
            name_leftovers(unstamped(self.path), form.salvage)
        with _Files(self, form, live) as files:
            self.pauses.append(files.pause)
            if not first and self.segment is None:
                files.open(self.path)
            for frame in chain(first, frames):
                files.write(frame)
                yield frame


class _Files:
    """`with _Files(...) as files: files.write(frame)`: the file of one run, or one after another.

    form: the files' format; None: stdout. If there is no space left for live sources, and the format can pause, their
    file ends, and the next begins when there is some again.
    """

    def __init__(self, record: Record, form: type[Table] | None, live: bool):
        self._record, self._form, self._live = record, form, live
        self._can_wait = live and form is not None and form.can_pause
        self._columns = COLUMNS | AT if record.at else COLUMNS
        self._output: Output[Table] = Output("detections", record.path.parent, self._can_wait)
        self.pause = self._output.pause
        self._begin = 0.0
        self._is_first = True
        self._taken: set[Path] = set()  # not of live sources: theirs are found on disk, and there is no end of them

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.close(error)

    def write(self, frame: Frame) -> None:
        """Write the rows of a frame, unless there is no space."""
        now = frame.captured if self._live else frame.time
        if self.pause.holds(now):
            return
        try:
            segment = self._record.segment
            if segment and now >= self._begin + segment:
                self._output.end()
            if not (table := self._output.file):
                self._begin = now
                table = self.open(self._path(frame))
            self._write(frame, table)
        except (OSError, NoSpaceError) as error:
            if not self._output.pauses(error, now):
                raise
        else:
            self.pause.wrote(self._begin, now)

    def open(self, path: Path) -> Table:
        return self._output.open(self._file(path))

    def _write(self, frame: Frame, table: Table) -> None:
        more = {"at": utc(since_1970(frame.captured))} if self._record.at else {}
        if self._record.frames:
            table.write(to_row(frame, None) | more)
        for detection in frame.detections:
            table.write(to_row(frame, detection) | more)

    def _path(self, frame: Frame) -> Path:
        """The path of the file that begins with a frame; deletes files that are old enough."""
        record, is_first, self._is_first = self._record, self._is_first, False
        if is_first and not record.segment:
            return record.path
        if not self._live:
            self._taken.add(path := stamped(record.path, frame.source, frame.time, self._taken))
            return path
        base = unstamped(record.path)
        if record.keep:
            sweep([base], record.keep, None)
        return stamped(base, frame.source, since_1970(frame.captured), ())

    @contextmanager
    def _file(self, path: Path) -> Iterator[Table]:
        if not self._form:
            with stdout(), JsonLines(None, self._columns) as table:
                yield table
            return
        whole = PartFile(path, self._record.force)
        try:
            with ends_when_full(whole, self._form.salvage, self._can_wait) as part:
                if self._live:
                    put_aside(part)
                with self._form(part, self._columns) as table:
                    yield table
        finally:
            if whole.is_complete:
                self._record.made.add(path)
