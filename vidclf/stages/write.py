"""Write: writes the annotated frames to a video file, with the source's timestamps and sound."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.files import Made, PartFile, check_folder
from vidclf.frame import LARGEST, USUAL_RATE, Frame, Source
from vidclf.limits import check_range, check_size
from vidclf.preprocess import letterbox
from vidclf.stages._awaited import awaited
from vidclf.stages._leftovers import name_leftovers, put_aside
from vidclf.stages._output import ends_when_full
from vidclf.stages._pause import Pause
from vidclf.stages._recording import LONGEST_GAP, LONGEST_HOLE, Plan, Recording
from vidclf.stages._video_file import VideoFile, finished, plays
from vidclf.units import to_bytes, to_seconds
from vidclf.video.address import refuse_url
from vidclf.video.clock import SourceClock, SteadyClock
from vidclf.video.naming import stem_of, sweep

if TYPE_CHECKING:
    from vidclf.pipeline import Pipeline
    from vidclf.stages._video_file import Writer

log = logging.getLogger(__name__)

FINEST = Fraction(1, 1_000_000)  # seconds; MP4 has room for 2**31 of them between two pictures, 35 minutes

SWEEP_SECONDS = 60  # between two searches for recordings that are old enough to delete


class Write:
    """Write every frame to `path`; the suffix chooses the container: mp4, m4v, mov, mkv, webm, avi, ts.

    path may be a folder, if it exists or ends in /: each source then has its own files there, with `suffix`.

    codec: h264, hevc, av1, vp9, mpeg4, mjpeg, ffv1, or the name of an FFmpeg encoder; the default follows the suffix.
    hardware: use a hardware encoder if one works. quality: on the codec's own scale, smaller is better; by default h264
    23 (of 0..51), hevc 28, vp9 33, av1 35, mpeg4 and mjpeg 4, if encoded in software. fps: write at this constant rate
    instead of with the source's timestamps (which avi rounds to the source's average rate); the duration stays the
    same, and a gap of more than an hour is an error. size: (width, height) to scale to, aspect ratio kept. audio:
    include a file's sound; that of live sources is never recorded.
    backend: pyav; or opencv or skvideo (constant rate, no sound, and a killed process leaves no playable part).
    segment: split into files of this length (10m, 1h30m). keep, keep_size: delete a live source's oldest files, those
    finished longer ago than this (7d), or beyond this total size (50G). only_when: write only while one of these
    kinds or labels is seen ("any": anything), one file per event, from pre_roll before the first sighting to
    post_roll after the last; possible pre-roll is held in memory, as JPEGs of at most 128 MB per source.
    A live source continues in a new file after a gap of more than ten minutes; with fps, or the opencv or skvideo
    backend, of more than five seconds, because a constant rate fills gaps with repeated pictures. So does a source
    whose pictures change size, unless size is given.
    Such files have a time in their names: the date (UTC) for live sources, otherwise the time in the source, hhmmss.
    force: overwrite an existing file.
    The file is called PATH.part while it is written, is playable at any time, and gets its name when it is complete.
    A part that a live source's run left unfinished is kept as PATH.part-1, -2, ...
    """

    def __init__(
        self,
        path: str = "",
        codec: str | None = None,
        quality: int | None = None,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        audio: bool = True,
        backend: Literal["pyav", "opencv", "skvideo"] = "pyav",
        hardware: bool = True,
        force: bool = False,
        segment: float | str | None = None,
        keep: float | str | None = None,
        keep_size: int | str | None = None,
        only_when: list[str] | None = None,
        pre_roll: float | str = 5.0,
        post_roll: float | str = 5.0,
        suffix: str = ".mp4",
    ):
        if not str(path):
            raise UsageError("write needs a path")
        refuse_url(str(path))
        if quality is not None:
            check_range("quality", quality, 0, 63)
        if fps is not None:
            check_range("fps", fps, 0.01, 1000)
        if size is not None:
            check_size("size", size, 2, LARGEST)
        if (keep is not None or keep_size is not None) and segment is None and not only_when:
            raise UsageError("keep and keep_size delete old segments or events; set segment or only_when, too")
        if only_when and not all(name.strip() for name in only_when):
            raise UsageError(f"only_when must name kinds or labels, or any, got {', '.join(map(repr, only_when))}")
        folder = Path(path) if str(path).endswith(("/", os.sep)) or Path(path).is_dir() else None
        self.path = Path(f"{folder / 'source'}.{suffix.removeprefix('.')}") if folder else Path(path)
        self.is_folder = folder is not None
        self.keep = None if keep is None else to_seconds(keep, "keep")
        self.keep_size = None if keep_size is None else to_bytes(keep_size, "keep_size")
        self.plan = Plan(
            segment=None if segment is None else _exact(to_seconds(segment, "segment")),
            only_when=frozenset(name.lower() for name in only_when or ()),
            pre_roll=_exact(to_seconds(pre_roll, "pre_roll", zero=True)),
            post_roll=_exact(to_seconds(post_roll, "post_roll", zero=True)),
            max_gap=Fraction(LONGEST_HOLE if fps is None and backend == "pyav" else LONGEST_GAP),
            any_size=size is not None,
        )
        self.codec, self.quality, self.size, self.audio = codec, quality, size, audio
        self.fps = Fraction(fps).limit_denominator(1001) if fps is not None else None
        self.backend, self.force = backend, force
        if backend == "pyav":
            from vidclf.video.codecs import check_codec

            self._container, self._encoders = check_codec(self.path, codec, hardware, quality)
        else:
            from vidclf.video.backends import WRITERS

            WRITERS[backend].check(self.path, codec, quality)
        self.made = Made()  # in the last run, or in this one
        self.pauses: list[Pause] = []  # likewise, one for each source; `serve` tells their reasons
        self._captures: Sequence[Any] = ()
        if folder:  # complain about the path now rather than after the first frame
            check_folder(folder)
        else:
            PartFile(self.path, force)

    def attach(self, pipeline: Pipeline) -> None:
        """Note this pipeline's cameras before their first frames."""
        self._captures = pipeline.sources

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        self.made, self.pauses = Made(), []
        recordings: dict[Source, Recording] = {}
        paths: dict[Source, Path] = {}  # without the times in their names
        taken: set[Path] = set()
        with ExitStack() as stack:
            for frame in _swept(frames, lambda: self._sweep(paths, taken)):
                source = frame.source
                if source not in recordings:
                    if recordings and not self.is_folder:
                        first = next(iter(recordings))
                        raise VidclfError(f"one file cannot hold two sources ({first.name} and {source.name})")
                    always = self.is_folder and source.live  # do not overwrite yesterday's recordings
                    path = self._path_of(source, paths)
                    if source.live:
                        name_leftovers(path, plays)
                    recording = Recording(path, source, self.plan, self._file, taken, always)
                    self.pauses.append(recording.pause)
                    recordings[source] = stack.enter_context(recording)
                if recordings[source].write(frame):
                    self._sweep(paths, taken)
                yield frame
        self._sweep(paths, taken)

    def _path_of(self, source: Source, paths: dict[Source, Path]) -> Path:
        """The path of a source's files without times; unique among `paths`, and added to them."""
        if source not in paths:  # in the order of the cameras, so that each gets the same name in every run
            cameras = [capture.reading for capture in self._captures if getattr(capture, "reading", None)]
            for each in [*cameras, source]:
                if each not in paths:
                    paths[each] = self._unique(stem_of(each), paths.values())
        return paths[source]

    def _unique(self, stem: str, taken: Collection[Path]) -> Path:
        path, number = self.path.with_stem(stem) if self.is_folder else self.path, 2
        while self.is_folder and path in taken:
            path, number = self.path.with_stem(f"{stem}-{number}"), number + 1
        return path

    def _sweep(self, paths: dict[Source, Path], taken: set[Path]) -> None:
        if self.keep is None and self.keep_size is None:
            return
        for capture in self._captures:  # also delete old files of a camera that has not been seen in this run
            if source := getattr(capture, "reading", None):
                self._path_of(source, paths)
        for path in sweep(list(paths.values()), self.keep, self.keep_size, taken):
            log.debug("deleted %s", path)

    @contextmanager
    def _file(self, path: Path, first: np.ndarray, source: Source) -> Iterator[VideoFile]:
        """Write one file, from its first picture to its end; after an error it does not get its final name."""
        file: VideoFile | None = None
        whole = PartFile(path, self.force, keep_suffix=self.backend != "pyav")
        try:
            with ends_when_full(whole, plays, source.live) as part:
                _refuse_the_source(source, path, part)
                if source.live:
                    put_aside(part)
                file = VideoFile(*self._open(part, first, source), source.rate or USUAL_RATE, self._fit)
                with finished(file):
                    yield file
        finally:
            if whole.is_complete and file:
                self.made.add(path, float(file.end))

    def _open(self, part: Path, first: np.ndarray, source: Source) -> tuple[Writer, SourceClock | SteadyClock]:
        height, width = first.shape[:2]  # a stage may have changed the size
        size, rate = self.size or (width, height), self.fps or source.rate or USUAL_RATE
        if self.backend == "pyav":
            from vidclf.video.encoder import Encoder

            time_base = 1 / self.fps if self.fps else max(source.time_base, FINEST)
            sound = source if self.audio and source.uri else None
            # A stage that changed the size may have changed the shape of the pixels.
            ratio = source.sample_aspect_ratio if (width, height) == source.size else None
            encoder = Encoder(part, self._container, self._encoders, size, rate, time_base, self.quality, sound, ratio)
            return encoder, SteadyClock(rate, source.name) if self.fps else SourceClock(encoder.time_base)
        from vidclf.video.backends import WRITERS

        return WRITERS[self.backend](part, size, rate, self.codec, self.quality), SteadyClock(rate, source.name)

    def _fit(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The picture at the writer's size: scaled if the user set one, else with its last row and column repeated.

        Repeating is for codecs that need even sides; it keeps coordinates correct.
        """
        height, width = image.shape[:2]
        if (width, height) == size:
            return image
        if self.size:
            return letterbox(image, *size)
        return cv2.copyMakeBorder(image, 0, size[1] - height, 0, size[0] - width, cv2.BORDER_REPLICATE)


def _refuse_the_source(source: Source, *written: Path) -> None:
    """Raise UsageError if an output is the file being read, or if that is a part left by a crash."""
    for path in written:
        with suppress(OSError):  # no such files
            if path.samefile(source.name):
                raise UsageError(f"{path} is the file being read; write to another file")


def _swept(frames: Iterable[Frame], sweep: Callable[[], None]) -> Iterator[Frame]:
    """Yield the frames; call `sweep` about once a minute, even while no frames come."""
    swept = monotonic()
    for frame in awaited(frames, SWEEP_SECONDS):
        if frame is None or monotonic() - swept > SWEEP_SECONDS:
            sweep()
            swept = monotonic()
        if frame is not None:
            yield frame


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)
