"""Capture: a source's pictures as frames, upright, all of one size, each at its own time."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Literal

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import LARGEST, Frame, Placement, Source
from vidclf.limits import check_range, check_size
from vidclf.preprocess import letterbox_area, on_black
from vidclf.units import to_seconds
from vidclf.video.address import is_live, readable, redact

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from vidclf.pipeline import Pipeline
    from vidclf.video.live import Shot

log = logging.getLogger(__name__)

NAME = re.compile(r"\w[\w -]{0,59}")  # of a source: it is a part of file names, too
ENDS_EARLY = 0.98  # share of the frames that the header promises; many healthy files lack the last few


class Capture:
    """Read frames from a file, a URL, a camera or a pattern of pictures (`frames/%04d.png`, `frames/*.jpg`).

    stride: yield only every N-th frame; the others are in the ledger as dropped for "stride".
    start: the time to skip (90, 1m30s); frame 0 is the first at or after it, and times still count from the source's
      start.
    max_frames: stop after this many frames.
    size: (width, height) to scale to, aspect ratio kept on black; a change of size in mid-stream is handled the same.
      Records and events still have the source's own pixels.
    rate: pictures per second of a pattern of pictures. realtime: yield frames no faster than their timestamps, for
    viewing.
    A live source (a camera, rtsp, udp, HLS, MJPEG over http, ...) is reconnected whenever it is lost, forever or until
    it has sent no picture for `give_up_after` seconds; it may be absent at the start, unless it is a local camera.
    live: whether it is one, if its name is misleading. transport: of RTSP. options: FFmpeg's options for a camera or
    URL, as NAME=VALUE: input_format=mjpeg, video_size=1280x720.
    hardware: decode on the GPU (NVDEC, VideoToolbox, VA-API, ...); what it cannot decode is decoded in software.
    name: what a camera or URL is called in tables, pages, topics and file names; its address without passwords if None.
    Corrupt packets are counted and skipped. In a pipeline, and for a live source always, it yields None while there is
    no frame yet, so that it can be stopped. Raises UsageError for a source that does not exist, VidclfError for one
    without a picture.
    """

    def __init__(
        self,
        source: str = "",
        stride: int = 1,
        start: float | str = 0.0,
        max_frames: int | None = None,
        size: tuple[int, int] | None = None,
        rate: float | None = None,
        live: bool | None = None,
        give_up_after: float | str | None = None,
        transport: Literal["tcp", "udp"] = "tcp",
        options: list[str] | None = None,
        realtime: bool = False,
        hardware: bool = False,
        name: str | None = None,
    ):
        if not str(source):
            raise UsageError("capture needs a source")
        if str(source) == "-":
            raise UsageError("source must be a file, a URL, a camera's number or a pattern of pictures, got - (stdin)")
        check_range("stride", stride, 1)
        if max_frames is not None:
            check_range("max_frames", max_frames, 1)
        if size is not None:
            check_size("size", size, 1, LARGEST)
        if rate is not None and not 0 < rate <= 1000:
            raise UsageError(f"rate must be above 0 and at most 1000 pictures a second, got {rate}")
        if live and os.path.isfile(source):  # noqa: PTH113 - Path fails for long URLs. It would be reopened forever
            raise UsageError(
                f"live is for sources without an end, got the file {source}; realtime plays it in real time"
            )
        if wrong := [option for option in options or () if "=" not in option]:
            raise UsageError(f"options must be NAME=VALUE, got {wrong[0]!r}")
        if name is not None and not NAME.fullmatch(name):
            raise UsageError(f"name must be up to 60 letters, digits, spaces, - and _, got {name!r}")
        if name is not None and os.path.isfile(source):  # noqa: PTH113 - as above; `write` knows what is read by its name
            raise UsageError(f"name is for cameras and URLs; the file {source} already has a name")
        self.uri, self.name = str(source), name
        self.stride, self.max_frames, self.size, self.rate = stride, max_frames, size, rate
        self.start = to_seconds(start, "start", zero=True)
        self.give_up_after = None if give_up_after is None else to_seconds(give_up_after, "give_up_after")
        self.transport = transport
        self.options = dict(option.split("=", 1) for option in options or ())
        self.realtime, self.hardware = realtime, hardware
        self._live = live
        self._pipeline: Pipeline | None = None
        self._sound_is_wanted = True
        self.reading: Source | None = None  # a live source, even before its first picture

    @property
    def shown(self) -> str:
        """The source's name in all outputs."""
        return self.name or readable(redact(self.uri))

    @property
    def live(self) -> bool:
        """Whether frames arrive in real time, so that late ones are dropped rather than waited for."""
        return is_live(self.uri) if self._live is None else self._live

    def attach(self, pipeline: Pipeline) -> None:
        """Note that a pipeline reads, so it may want to stop, and whether one of its stages keeps the sound."""
        self._pipeline = pipeline
        self._sound_is_wanted = any(getattr(stage, "audio", False) for stage in pipeline.stages)

    def __call__(self, _: Iterable[Frame] = ()) -> Iterator[Frame | None]:
        if self.live:
            return self._watch()
        return self._read() if self._pipeline else (frame for frame in self._read() if frame is not None)

    def _stopping(self) -> bool:
        return self._pipeline is not None and self._pipeline.stopping

    def _read(self) -> Iterator[Frame | None]:
        """Read a source that has an end; yields None for skipped frames, so that it can be stopped.

        If it fails after that was asked for, as a silent server does when its time limit runs out, that is no error.
        """
        try:
            yield from self._read_all()
        except VidclfError:
            if not self._stopping():
                raise

    def _read_all(self) -> Iterator[Frame | None]:
        from vidclf.video.decoder import pictures, video_stream
        from vidclf.video.description import describe
        from vidclf.video.opening import open_source

        stopping = self._stopping if self._pipeline else None
        with open_source(self.uri, self.rate, self.hardware, stopping, self.options) as container:
            stream = video_stream(container, self.uri)
            source = describe(container, stream, self.uri, self.shown, self.size, self.start, self._sound_is_wanted)
            source.options = self.options
            progress = _Progress()
            shots = self._paced(pictures(container, stream, source), source)
            yield from self._frames(shots, source, stream, progress)
            if progress.given == self.max_frames:
                return
            source.ended = True
            if not progress.given:
                corrupt = f" ({source.corrupt} corrupt packets)" if source.corrupt else ""
                after = f" after {self.start:g} s" if self.start else ""
                raise VidclfError(f"no picture could be decoded from {source.name}{after}{corrupt}")
            # Too few frames alone prove nothing: an edit list may hide some, but then the duration is shorter, too.
            is_short = progress.read + source.corrupt < ENDS_EARLY * (source.frames or 0)
            until = progress.pts * source.time_base
            if is_short and not self.start and until < ENDS_EARLY * (source.duration or float("inf")):
                said = "%s ends early: its header says %d frames, it has %d"
                log.warning(said, source.name, source.frames, progress.read)

    def _paced(self, shots: Iterable[tuple[VideoFrame, int] | None], source: Source) -> Iterator[Shot | None]:
        """Add to each picture when it was taken: now, or for `realtime` when it is due."""
        began: float | None = None  # when the source's own clock showed 0, by ours
        for shot in shots:
            if shot and self.realtime:
                time = float(shot[1] * source.time_base)
                began = perf_counter() - time if began is None else began
                yield from _until(began + time, source)
            yield (*shot, perf_counter()) if shot else None

    def _watch(self) -> Iterator[Frame | None]:
        """Read a live source over all its connections; yields None while there is nothing yet."""
        from vidclf.video.decoder import rate_of
        from vidclf.video.live import Live
        from vidclf.video.live_clock import TICKS
        from vidclf.video.opening import is_recording

        source = Source(self.shown, self.size or (0, 0), time_base=Fraction(1, TICKS), live=True, state="absent")
        self.reading, progress = source, _Progress()
        live = Live(self.uri, source, self.options, self.transport, self.give_up_after, self.hardware)
        for connection in live.connections():
            if connection is None:
                yield None
                continue
            container, stream = connection
            if is_recording(self.uri, container):
                if progress.read:
                    continue  # a camera's server has ended its playlist; it may begin another
                self.reading = None
                container.close()  # a live source's time limits are too short for a recording
                yield from self._read()
                return
            source.rate = rate_of(stream)
            yield from self._frames(live.pictures(container, stream), source, stream, progress)
            if progress.given == self.max_frames:
                return

    def _frames(
        self, shots: Iterable[Shot | None], source: Source, stream: VideoStream, progress: _Progress
    ) -> Iterator[Frame | None]:
        """Make frames of pictures, up to `max_frames`; yields None for a skipped one, and while there is none."""
        from vidclf.video.description import upright_ratio
        from vidclf.video.upright import Upright, upright_size

        upright = Upright()
        for shot in shots:
            if shot is None:
                yield None
                continue
            picture, pts, taken = shot
            index = progress.read
            progress.read, progress.pts = index + 1, pts
            if index % self.stride:
                source.dropped["stride"] += 1
                yield None
                continue
            try:
                size = upright_size(picture)
                # A file keeps its size; a camera may come back with another.
                wanted = self.size or (size if source.live or not progress.given else source.size)
                area = None if wanted == size else letterbox_area(*size, *wanted)
                image = upright(picture, (area[2] - area[0], area[3] - area[1]) if area else None)
            except (OSError, ValueError) as error:  # what it says of its colours or format is damaged
                log.debug("a picture of %s cannot be converted: %s", source.name, error)
                source.corrupt += 1
                yield None
                continue
            if source.live or not progress.given:
                source.size = wanted
                source.sample_aspect_ratio = upright_ratio(stream, picture)
            placement = None
            if area:
                image, placement = on_black(image, area, *wanted), Placement(size, area)
            yield Frame(source, index, pts, image, captured=taken, placement=placement)
            progress.given += 1
            if progress.given == self.max_frames:
                return


@dataclass(slots=True)
class _Progress:
    """How far the pictures of a source have been read."""

    read: int = 0  # pictures, skipped ones included
    given: int = 0  # frames
    pts: int = 0  # of the latest picture


def _until(due: float, source: Source) -> Iterator[None]:
    """Yield None until `due`, by `perf_counter`, often enough to be stopped."""
    while (wait := due - perf_counter()) > 0:
        sleep(min(wait, 0.1))
        source.waited += min(wait, 0.1)
        yield None
