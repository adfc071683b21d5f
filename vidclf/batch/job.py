"""Runs one clip through the pipeline, in any process: takes a job, returns its outcome."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import cv2
import numpy as np

from vidclf.batch.clips import mtime_of, printable
from vidclf.batch.storage import Storage
from vidclf.errors import UsageError, VidclfError, describe
from vidclf.files import PASSING, hash_file
from vidclf.frame import Frame
from vidclf.models.device import is_gpu_fault
from vidclf.pipeline import Pipeline, Stage
from vidclf.preprocess import shrink
from vidclf.recipe import WRITERS, Item

TELL_SECONDS = 0.25  # between two progress messages of a running clip
THUMBNAIL = 128  # pixels of the longer side
PER_CLIP = ("capture", *WRITERS)  # stages whose failure is about the clip, not about the configuration
FULL = {errno.ENOSPC, errno.EDQUOT}
BRIEF = PASSING | ({errno.EACCES} if sys.platform == "win32" else set())  # another program still writes it

# "": done. bad: a permanent fault of the clip. passing: worth another attempt. full: no space is left.
# configuration: every other clip would fail, too.
Fault = Literal["", "bad", "passing", "full", "configuration"]


@dataclass(frozen=True, slots=True)
class Job:
    """A clip to process."""

    path: str  # the clip's name in the manifest
    source: str  # what to open
    outputs: dict[str, str]  # by the stage that writes it: its name in the storage


@dataclass(slots=True)
class Outcome:
    """The result of a job."""

    path: str
    fault: Fault = ""
    error: str = ""
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    stats: dict[str, Any] = field(default_factory=dict)  # the pipeline's
    seconds: float = 0.0  # of video
    written: int = 0  # bytes of results
    warnings: list[str] = field(default_factory=list)
    thumbnail: bytes | None = None  # a WebP picture of the frame with the most detections


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a clip."""

    path: str
    frames: int  # 0 while the clip is still being hashed
    seconds: float  # of video
    duration: float | None  # of the whole clip, if known


class Runner:
    """Runs clips through one pipeline; stages that do not depend on the clip, and so models, are created only once.

    scratch: the folder for results until they are uploaded; None is that of the system.
    """

    def __init__(self, items: list[Item], storage: Storage, scratch: Path | None = None):
        self._items, self._storage, self._scratch = items, storage, scratch
        self._made: dict[int, Stage] = {}

    def run(self, job: Job, tell: Callable[[Progress], object] = lambda _: None) -> Outcome:
        """Process a clip; any error is in the outcome."""
        outcome = Outcome(job.path)
        with _warnings(outcome.warnings):
            try:
                self._run(job, outcome, tell)
            except Exception as error:
                outcome.fault, outcome.error = fault_of(error), printable(describe(error))
        return outcome

    def _run(self, job: Job, outcome: Outcome, tell: Callable[[Progress], object]) -> None:
        source, watch = Path(job.source), _Watch(job.path, tell)
        try:
            about = source.stat()
            outcome.size, outcome.mtime_ns = about.st_size, mtime_of(about)
            outcome.sha256 = hash_file(source, watch.tell)
        except OSError as error:
            raise VidclfError(f"cannot read {job.source}: {error.strerror}") from error
        if not outcome.size:
            raise VidclfError(f"{job.source} is empty (0 bytes)")
        with self._storage.writing(job.outputs, watch.tell, self._scratch) as paths:
            if folder := next((path for path in paths.values() if path.is_dir()), None):  # `write` would write into it
                raise VidclfError(f"{folder} is a folder, but a result needs this name")
            stages = [self._stage(number, job, paths) for number in range(len(self._items))]
            pipeline = Pipeline(stages)
            try:
                outcome.stats = pipeline.run(watch)
            except BaseException:
                outcome.stats = pipeline.stats()
                raise
            # Not by the files: those of an earlier run may be there.
            made = {item.name for item, stage in zip(self._items, stages, strict=True) if files_made(stage)}
            if missing := [job.outputs[name] for name in paths if name not in made]:
                raise VidclfError(f"no frame reached the end of the pipeline, so there is no {missing[0]}")
            after = source.stat()
            if (after.st_size, mtime_of(after)) != (outcome.size, outcome.mtime_ns):
                for path in paths.values():
                    path.unlink(missing_ok=True)
                raise ChangedError(f"{job.source} changed while it was read")
            outcome.written = sum(path.stat().st_size for path in paths.values())
        outcome.seconds, outcome.thumbnail = watch.seconds, watch.thumbnail()

    def _stage(self, number: int, job: Job, paths: dict[str, Path]) -> Stage:
        item = self._items[number]
        if item.name not in PER_CLIP:
            if number not in self._made:
                self._made[number] = item.create()
            return self._made[number]
        item = deepcopy(item)
        if item.name == "capture":
            item.options["source"] = job.source
        else:
            item.options |= {"path": str(paths[item.name]), "force": True}
        return item.create()


def files_made(stage: Any) -> int:
    """How many files a stage has completed in its latest run; 0 for stages that write none."""
    return int(getattr(getattr(stage, "made", None), "files", 0))


class ChangedError(VidclfError):
    """The clip was not complete yet."""


class _Watch:
    """Sees every finished frame: reports the progress, and keeps a thumbnail of the frame with the most detections."""

    def __init__(self, path: str, tell: Callable[[Progress], object]):
        self._path, self._tell, self._told = path, tell, 0.0
        self._frames, self._most = 0, -1
        self._picture: np.ndarray | None = None
        self._duration: float | None = None
        self.seconds = 0.0

    def __call__(self, frame: Frame) -> None:
        self._frames += 1
        source = frame.source
        self.seconds = frame.time - source.begin + (float(1 / source.rate) if source.rate else 0.0)
        if len(frame.detections) > self._most:
            self._most = len(frame.detections)
            self._picture = shrink(frame.image, THUMBNAIL)
        self._duration = source.duration
        self.tell()

    def tell(self) -> None:
        """Report the progress, also without new frames, because reading or uploading a large clip may take long."""
        if (now := monotonic()) - self._told >= TELL_SECONDS:
            self._told = now
            self._tell(Progress(self._path, self._frames, self.seconds, self._duration))

    def thumbnail(self) -> bytes | None:
        if self._picture is None:
            return None
        done, content = cv2.imencode(".webp", self._picture, [cv2.IMWRITE_WEBP_QUALITY, 50])
        return content.tobytes() if done else None


def devices_of(items: Iterable[Item]) -> set[str]:
    """The devices that a pipeline's networks ask for."""
    return {str(item.options.get("device", "auto")) for item in items if item.name in ("yolo", "classify")}


def fault_of(error: BaseException) -> Fault:
    """The kind of fault that an exception means, including its causes."""
    chain = list(_chain(error))
    numbers = {each.errno for each in chain if isinstance(each, OSError)}
    if numbers & FULL:
        return "full"
    if numbers & BRIEF or any(isinstance(each, (MemoryError, ChangedError)) or is_gpu_fault(each) for each in chain):
        return "passing"
    if isinstance(error, UsageError) and not _concerns_clip(error):
        return "configuration"
    return "bad" if isinstance(error, VidclfError) else "passing"


def _concerns_clip(error: UsageError) -> bool:
    text = " ".join([*getattr(error, "__notes__", ()), str(error)])
    return any(f"stage {name!r}" in text or f": {name}: " in text for name in PER_CLIP)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


@contextmanager
def _warnings(messages: list[str]) -> Iterator[None]:
    """Collect the warnings that are logged in the block; the process that started this one shows them."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(printable(record.getMessage()))

    logger, handler = logging.getLogger("vidclf"), Collect(logging.WARNING)
    before, logger.handlers = logger.handlers, [handler]
    try:
        yield
    finally:
        logger.handlers = before
