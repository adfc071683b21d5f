"""Capture: decodes a source, packet by packet, into upright BGR frames with timestamps that can be trusted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Frame, Source
from vidclf.preprocess import letterbox
from vidclf.video.timestamps import Timestamps

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DECODER_THREADS = 4  # more only cost memory: decoding is hardly the bottleneck of a pipeline that detects
FRAME_THREADS_FROM = 4_000_000  # pixels a picture
BROKEN_READS = 100  # reads that fail one after the other before a file counts as ended


class Capture:
    """Read frames from a file, a URL, a camera or a pattern of pictures (`frames/%04d.png`, `frames/*.jpg`).

    stride: give every so many-th frame; the others are in the ledger as dropped for "stride".
    start: seconds to skip; frame 0 is the first at or after it, and times still count from the source's start.
    max_frames: stop after so many frames.
    size: (width, height) to scale to, aspect ratio kept on black; also what a change of size in mid-stream gets.
    rate: pictures a second of a pattern of pictures.
    Corrupt packets are counted and skipped. Raises UsageError for a source that does not exist, VidclfError for
    one that holds no picture.
    """

    def __init__(
        self,
        source: str = "",
        stride: int = 1,
        start: float = 0.0,
        max_frames: int | None = None,
        size: tuple[int, int] | None = None,
        rate: float | None = None,
    ):
        if not str(source):
            raise UsageError("capture needs a source")
        if stride < 1:
            raise UsageError(f"stride must be at least 1, got {stride}")
        if start < 0:
            raise UsageError(f"start must be at least 0 seconds, got {start}")
        if max_frames is not None and max_frames < 1:
            raise UsageError(f"max_frames must be at least 1, got {max_frames}")
        if size is not None and min(size) < 1:
            raise UsageError(f"size must be at least 1x1, got {size[0]}x{size[1]}")
        if rate is not None and rate <= 0:
            raise UsageError(f"rate must be above 0, got {rate}")
        self.uri = str(source)
        self.stride, self.start, self.max_frames, self.size, self.rate = stride, start, max_frames, size, rate

    @property
    def live(self) -> bool:
        """Whether frames arrive by the clock, so that late ones are better forgotten than waited for."""
        from vidclf.video.opening import is_live

        return is_live(self.uri)

    def __call__(self, _: Iterable[Frame] = ()) -> Iterator[Frame]:
        from vidclf.video.opening import open_source, redact

        with open_source(self.uri, self.rate) as container:
            stream = _video_stream(container, redact(self.uri))
            source = self._describe(container, stream)
            if self.start:
                container.seek(int(self.start * 1_000_000), backward=True)
            index = given = 0
            origin = round(source.origin / source.time_base)
            timestamps = Timestamps(_step(stream))
            # AVI stores no presentation times; what FFmpeg shows as such are decoding times in the wrong order.
            clock = "dts" if container.format.name == "avi" else "pts"
            for picture in _decode(container, stream, source):
                read = getattr(picture, clock)
                pts = timestamps.repair(None if read is None else read - origin)
                if pts * source.time_base < self.start:
                    continue
                if index % self.stride:
                    source.dropped["stride"] += 1
                else:
                    image = _upright(picture)
                    if not given:
                        source.size = self.size or (image.shape[1], image.shape[0])
                    if source.size != (image.shape[1], image.shape[0]):
                        image = letterbox(image, *source.size)
                    yield Frame(source, index, pts, image)
                    given += 1
                    if given == self.max_frames:
                        return
                index += 1
            source.ended = True
            if not index:
                corrupt = f" ({source.corrupt} corrupt packets)" if source.corrupt else ""
                after = f" after {self.start:g} s" if self.start else ""
                raise VidclfError(f"no picture could be decoded from {source.name}{after}{corrupt}")

    def _describe(self, container: InputContainer, stream: VideoStream) -> Source:
        from vidclf.video.opening import is_camera, redact

        base = stream.time_base or Fraction(1, 90_000)
        duration = container.duration / 1_000_000 if container.duration else None
        return Source(
            name=redact(self.uri),
            size=self.size or (stream.width, stream.height),
            rate=stream.average_rate or stream.guessed_rate,
            time_base=base,
            duration=duration,
            live=self.live,
            frames=stream.frames or None,
            origin=_origin(container, stream, base),
            begin=self.start,
            uri=None if self.live or is_camera(self.uri) else container.name,
        )


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    """The best video track; cover pictures of sound files are none."""
    best = container.streams.best("video")
    if best is None or "ATTACHED_PIC" in str(best.disposition).upper():
        kinds = ", ".join(s.type for s in container.streams if s is not best) or "nothing"
        raise VidclfError(f"{name} has no video track (it holds: {kinds})")
    assert best.type == "video"
    # Threads that decode several frames at once lose good frames next to a broken one; only large pictures need them.
    best.codec_context.thread_type = "AUTO" if best.width * best.height >= FRAME_THREADS_FROM else "SLICE"
    best.codec_context.thread_count = min(DECODER_THREADS, os.cpu_count() or 1)
    return best


def _origin(container: InputContainer, stream: VideoStream, base: Fraction) -> Fraction:
    """What the source's own clock shows at its start, in seconds: MPEG-TS, say, starts anywhere.

    All tracks share it, so sound stays in step. A start before zero (a codec's delay) is not the start.
    """
    start = Fraction(container.start_time or 0, 1_000_000)
    first = (stream.start_time or 0) * base
    if abs(start - first) < Fraction(1, 100_000):
        start = first  # the container's is rounded to microseconds
    return min(max(start, Fraction(0)), first) if stream.start_time is not None else max(start, Fraction(0))


def _step(stream: VideoStream) -> int:
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return round(1 / (rate * stream.time_base)) if stream.time_base else 1


def _decode(container: InputContainer, stream: VideoStream, source: Source) -> Iterator[VideoFrame]:
    """Decode packet by packet, so that a corrupt one costs itself and not the rest of the file."""
    import av.error

    broken = 0
    packets = container.demux(stream)
    while broken < BROKEN_READS:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            source.corrupt += 1
            broken += 1
            packets = container.demux(stream)  # a generator that raised is over
            continue
        if packet is None:
            return
        broken = 0
        try:
            pictures = packet.decode()
        except av.error.FFmpegError:
            source.corrupt += 1
            continue
        yield from pictures


def _upright(picture: VideoFrame) -> np.ndarray:
    """(height, width, 3) uint8 BGR, rotated as the file's metadata asks."""
    from av.video.reformatter import ColorRange, Colorspace

    # Untagged video is BT.709 from 720 lines up and BT.601 below, by universal custom.
    space, limits = picture.colorspace, picture.color_range
    if space in (2, 3) or space > 9:  # unspecified, reserved, or nothing swscale knows
        space = Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601
    if limits not in (ColorRange.MPEG, ColorRange.JPEG):
        limits = ColorRange.JPEG if picture.format.name.startswith("yuvj") else ColorRange.MPEG
    is_rgb = picture.format.is_rgb or picture.format.has_palette
    colours = {} if is_rgb else {"src_colorspace": space, "src_color_range": limits, "dst_color_range": ColorRange.JPEG}
    image = picture.to_ndarray(format="bgr24", **colours)
    turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.ascontiguousarray(image)
