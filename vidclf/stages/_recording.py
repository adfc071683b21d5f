"""Decides which files a source's recording goes to: one, or several in turn, split by time or around events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np

from vidclf.frame import Frame, Source
from vidclf.rows import since_1970
from vidclf.stages._output import Output
from vidclf.video.naming import stamped

PRE_ROLL_BYTES = 128 << 20  # JPEGs that are kept before an event; beyond that, the oldest are dropped
JPEG_QUALITY = 95
CATCH_UP = 2  # kept pictures written with each new one; writing all at once would delay a live source's frames
LONGEST_GAP = 5  # seconds that a constant rate fills with repeated pictures, for a live source
# Seconds without a picture in one file of a live source. A gap of 6.6 h has too many ticks for mp4 and mov, which then
# put each later picture one tick after the one before; AVI stores each missing picture, at most 60,000 in a row.
LONGEST_HOLE = 600


@dataclass(frozen=True, slots=True)
class Plan:
    """How recordings are split; times in seconds of the source's time."""

    segment: Fraction | None = None  # a file's length
    only_when: frozenset[str] = frozenset()  # kinds and labels, in lower case, of which one must be seen; or any
    pre_roll: Fraction = Fraction(0)  # before it was seen first
    post_roll: Fraction = Fraction(0)  # after it was seen last
    max_gap: Fraction | None = None  # between two pictures
    any_size: bool = False  # pictures may change their size within a file

    def wants(self, frame: Frame) -> bool:
        """Whether one of the kinds or labels is seen on a frame."""
        return any({"any", d.kind.lower(), d.label.lower()} & self.only_when for d in frame.detections)


class OpenFile(Protocol):
    """A file that is being written. Times are seconds from its start."""

    end: Fraction  # when its last picture ends
    is_complete: bool  # it holds the source's end, so all of the remaining sound belongs to it

    def show(self, image: np.ndarray, at: Fraction) -> None: ...


# (path, first picture, the source with `begin` at the file's start) -> the file, finished on leaving the block
Opener = Callable[[Path, np.ndarray, Source], AbstractContextManager[OpenFile]]


@dataclass(slots=True)
class _Shot:
    image: np.ndarray  # (height, width, 3) uint8 BGR; or its JPEG, (bytes,) or (bytes, 1)
    at: Fraction  # seconds of the source's time
    captured: float  # `perf_counter`


class Recording:
    """`with Recording(...) as recording: recording.write(frame)`.

    path: the file; if there are several, each has a time in its name. taken: paths in use by other recordings.
    If there is no space left for a live source, its file ends; the next begins when there is space again.
    """

    def __init__(
        self, path: Path, source: Source, plan: Plan, opener: Opener, taken: set[Path], always_stamped: bool = False
    ):
        self._path, self._source, self._plan, self._opener, self._taken = path, source, plan, opener, taken
        self._next_is_stamped = always_stamped or bool(plan.segment or plan.only_when)
        self._output: Output[OpenFile] = Output(source.name, path.parent, source.live)
        self.pause = self._output.pause
        self._shape: tuple[int, ...] = ()
        self._start = self._latest = Fraction(0)
        self._until = Fraction(-1)  # the end of the event
        self._before: deque[_Shot] = deque()
        self._before_bytes = 0

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._flush()
        except BaseException as failure:
            can_wait = self._output.pauses(failure)
            self._output.close(failure)
            if not can_wait and error is None:  # otherwise report the first error, not this one
                raise
        else:
            if file := self._output.file:
                file.is_complete = error is None and self._source.ended
            self._output.close(error)

    def write(self, frame: Frame) -> bool:
        """Write a frame, keep it for later, or drop it, as the plan says; True if that finished a file."""
        plan, before = self._plan, self._output.file
        shot = _Shot(frame.image, frame.pts * self._source.time_base, frame.captured)
        if plan.wants(frame):
            self._until = shot.at + plan.post_roll
        if self.pause.holds(shot.at):
            return False
        try:
            if plan.only_when and shot.at > self._until:
                self._flush()
                self._output.end()
                self._keep(shot)
            else:
                self._write_in_turn(shot)
        except Exception as error:
            if not self._output.pauses(error, shot.at):
                raise
            return True  # deleting old files may make room
        return before is not None and self._output.file is not before

    def _write_in_turn(self, shot: _Shot) -> None:
        """Write a picture of an event after the kept ones from before it; writes a few of those now."""
        while not self._output.file and self._before and shot.at - self._before[0].at > self._plan.pre_roll:
            self._forget()
        for _ in range(min(CATCH_UP, len(self._before))):
            self._write_kept()
        if not self._before:
            self._write(shot)
            return
        self._append(shot)
        while self._before_bytes > PRE_ROLL_BYTES:
            self._write_kept()

    def _flush(self) -> None:
        """Write the kept pictures of an event; without an open file they may still become pre-roll."""
        while self._output.file and self._before:
            self._write_kept()

    def _write_kept(self) -> None:
        kept = self._forget()
        self._write(replace(kept, image=_decoded(kept.image)))

    def _write(self, shot: _Shot) -> None:
        if self._output.file and self._must_cut(shot):
            max_gap = self._plan.max_gap
            if not self._source.live and (max_gap is None or shot.at <= self._latest + max_gap):
                self._output.file.end = shot.at - self._start  # its last picture's, and its sound's
            self._output.end()
        file = self._output.file or self._open(shot)
        file.show(shot.image, shot.at - self._start)
        self._latest = shot.at
        self.pause.wrote(self._start, shot.at)

    def _open(self, shot: _Shot) -> OpenFile:
        """Begin a file with a picture."""
        # A recording in one file begins where reading began, even if its first picture is later.
        self._start = shot.at if self._next_is_stamped else Fraction(self._source.begin)
        path = self._path
        if self._next_is_stamped:
            seconds = since_1970(shot.captured) if self._source.live else float(shot.at)
            path = stamped(path, self._source, seconds, self._taken)
        self._next_is_stamped = True
        self._shape = shot.image.shape
        return self._output.open(self._opened(path, shot.image))

    @contextmanager
    def _opened(self, path: Path, first: np.ndarray) -> Iterator[OpenFile]:
        self._taken.add(path)
        try:
            with self._opener(path, first, replace(self._source, begin=float(self._start))) as file:
                yield file
        finally:
            if self._source.live:  # a finished file is found on disk, and the set would grow as long as the run
                self._taken.discard(path)

    def _must_cut(self, shot: _Shot) -> bool:
        plan = self._plan
        if plan.segment is not None and shot.at >= self._start + plan.segment:
            return True
        if plan.max_gap is not None and self._source.live and shot.at > self._latest + plan.max_gap:
            return True
        return not plan.any_size and shot.image.shape != self._shape  # a camera that came back as another

    def _keep(self, shot: _Shot) -> None:
        """Keep a picture as possible pre-roll."""
        if self._plan.pre_roll:
            self._append(shot)
            while shot.at - self._before[0].at > self._plan.pre_roll or self._before_bytes > PRE_ROLL_BYTES:
                self._forget()

    def _append(self, shot: _Shot) -> None:
        shot.image = cv2.imencode(".jpg", shot.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        self._before.append(shot)
        self._before_bytes += shot.image.nbytes

    def _forget(self) -> _Shot:
        shot = self._before.popleft()
        self._before_bytes -= shot.image.nbytes
        return shot


def _decoded(jpeg: np.ndarray) -> np.ndarray:
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert image is not None
    return image
