"""Decodes a source, packet by packet, into pictures with reliable timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import av.error
from av.format import Flags

from vidclf.errors import VidclfError
from vidclf.frame import USUAL_RATE
from vidclf.threads import threads
from vidclf.video.address import redact
from vidclf.video.opening import PATIENCE, reads_pipe, reason
from vidclf.video.timestamps import Timestamps

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from vidclf.frame import Source

NO_TIMESTAMPS: Any = Flags.no_timestamps.value  # a raw stream, which cannot be seeked
FRAME_THREADS_FROM = 4_000_000  # pixels per picture
BROKEN_READS = 100  # failed reads in a row after which reading stops
FASTEST = 1000  # pictures per second that may be true
POLL = 0.005  # seconds between two reads of a device that returns at once when it has nothing (a Mac's camera)
LONGEST_LEAD = 60  # seconds that sound may begin before the pictures
SEEK_BACK = 10  # seconds; after a seek that lands too late, the next goes this much further back


def video_stream(container: InputContainer, uri: str) -> VideoStream:
    """The best video track, set up for decoding; VidclfError if there is none (cover art does not count), or FFmpeg
    does not know its codec."""
    best: Any = container.streams.best("video")
    if best is None or "ATTACHED_PIC" in str(best.disposition).upper():
        kinds = ", ".join(s.type for s in container.streams if s is not best) or "nothing"
        raise VidclfError(f"{redact(uri)} has no video track (it holds: {kinds})")
    if best.codec_context is None:
        raise VidclfError(f"the video track of {redact(uri)} is in a codec that FFmpeg does not know")
    # Threads that decode several frames at once lose good frames next to a broken one; only large pictures need them.
    best.codec_context.thread_type = "AUTO" if best.width * best.height >= FRAME_THREADS_FROM else "SLICE"
    best.codec_context.thread_count = threads("decoder")
    return best


def origin_of(container: InputContainer, stream: VideoStream) -> Fraction:
    """The time of the source's own clock at its start, in seconds: MPEG-TS, for example, starts anywhere.

    All tracks share it, so sound stays in sync. A start before zero (a codec's delay) does not count.
    """
    start = Fraction(container.start_time or 0, 1_000_000)
    first = (stream.start_time or 0) * (stream.time_base or Fraction(1))
    # The container's is rounded to microseconds: it may be after its own track's first packet, which would be lost.
    exact = [s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base]
    start = next((time for time in exact if abs(time - start) < Fraction(1, 100_000)), start)
    if stream.start_time is None:
        return max(start, Fraction(0))
    if container.format.name == "mpegts" and first - start > LONGEST_LEAD:  # that is another programme's clock
        return first
    return min(max(start, Fraction(0)), first)


def pictures(container: InputContainer, stream: VideoStream, source: Source) -> Iterator[tuple[VideoFrame, int] | None]:
    """Yield the pictures from `source.begin` on, each with its time since the source's start, in `source.time_base`.

    Yields None for each earlier one (without an index there may be many), so that reading can be stopped.
    Counts corrupt packets in `source.corrupt`. Raises VidclfError if the source cannot be read any further.
    """
    begin = Fraction(source.begin).limit_denominator(1_000_000)  # exactly 0.1, not its binary approximation
    for place in _places(begin, source.origin):
        maybe_late = place is not None and _seek(container, place) and place > 0
        source.corrupt = 0
        for shot in _timed(container, stream, source):
            if shot is None:
                yield None
                continue
            time = shot[1] * source.time_base
            if maybe_late and time > begin:
                break
            maybe_late = False
            yield shot if time >= begin else None
        if not maybe_late:
            return


def _places(begin: Fraction, origin: Fraction) -> Iterator[Fraction | None]:
    """Positions to read from to see the picture at `begin`, on the source's own clock; None: without seeking.

    Without an index, a seek may land after the last key frame before `begin`: then the next position is tried.
    """
    if not begin:
        yield None
        return
    yield origin + begin
    if begin > SEEK_BACK:
        yield origin + begin - SEEK_BACK
    yield Fraction(0)


def _seek(container: InputContainer, time: Fraction) -> bool:
    """Go to the last key frame before a time; False if that is not possible."""
    if container.format.flags & NO_TIMESTAMPS:
        return False  # a failed attempt would leave the stream at its end
    try:
        container.seek(int(time * 1_000_000), backward=True)
    except av.error.FFmpegError:
        return False
    return True


def _timed(container: InputContainer, stream: VideoStream, source: Source) -> Iterator[tuple[VideoFrame, int] | None]:
    """Decode, and repair the timestamps; yields None while there is no picture, or one that is held back."""
    origin = round(source.origin / source.time_base)
    timestamps: Timestamps[VideoFrame] = Timestamps(_step(stream), source.time_base)
    for picture in _decode(container, stream, source):
        if picture is None:
            yield None
        else:
            yield from timestamps.add(picture, None if picture.pts is None else picture.pts - origin) or (None,)
    yield from timestamps.rest()


def _step(stream: VideoStream) -> int:
    rate = rate_of(stream) or USUAL_RATE
    return round(1 / (rate * stream.time_base)) if stream.time_base else 1


def rate_of(stream: VideoStream) -> Fraction | None:
    """Pictures per second, by the header or a guess; None if unknown.

    In a short MPEG-TS file, or one of a variable rate, FFmpeg guesses the ticks of its clock, 90,000 a second.
    """
    rate = stream.average_rate or stream.guessed_rate
    return rate if rate and rate <= FASTEST else None


def _decode(container: InputContainer, stream: VideoStream, source: Source) -> Iterator[VideoFrame | None]:
    """Decode packet by packet, so that a corrupt packet does not cost the rest of the file.

    Yields None while a device has nothing yet.
    """
    set_times = _AviTimes() if container.format.name == "avi" else None
    has_begun, broken = False, 0
    empty_since: float | None = None  # since when a device has had nothing
    packets = container.demux(stream)
    while broken < BROKEN_READS:
        try:
            packet = next(packets, None)
        except BlockingIOError:  # only a camera that is read as if it had an end (`live: false`)
            empty_since = perf_counter() if empty_since is None else empty_since
            if perf_counter() - empty_since > PATIENCE[1]:
                raise VidclfError(f"{source.name} sent no data for {PATIENCE[1]:.0f} s") from None
            sleep(POLL)
            yield None
            packets = container.demux(stream)
            continue
        except (OSError, av.error.ExitError) as error:  # a failed read is not the end of the file
            raise VidclfError(f"{source.name} cannot be read any further: {reason(error)}") from None
        except av.error.FFmpegError:
            if not has_begun and reads_pipe(container) and "mp4" in container.format.name:
                raise VidclfError(
                    f"{source.name} is an MP4 with its index at the end, which cannot be read from a pipe; "
                    "use a file, -movflags +faststart, or another format (.mkv, .ts)"
                ) from None
            source.corrupt += 1
            broken += 1
            packets = container.demux(stream)  # a generator that raised is finished
            continue
        if packet is None:
            return
        has_begun, broken, empty_since = True, 0, None
        try:
            made = packet.decode()
        except av.error.FFmpegError:
            source.corrupt += 1
            continue
        if set_times:
            set_times(packet, made)
        yield from made
    raise VidclfError(f"{source.name} cannot be read any further: {broken} reads failed in a row")


class _AviTimes:
    """AVI stores no presentation times, and FFmpeg reports decoding times in the wrong order instead.

    The right ones are the decoding times, minus the time that the decoder held back its first picture. A file that was
    cut may begin with packets that nothing can be made of: those do not count.
    """

    def __init__(self) -> None:
        self._first_packet: int | None = None
        self._held_back: int | None = None

    def __call__(self, packet: Packet[Any], made: list[VideoFrame]) -> None:
        if self._first_packet is None and (packet.is_keyframe or made):
            self._first_packet = packet.dts
        for picture in made:
            if self._held_back is None:
                self._held_back = (picture.dts or 0) - (self._first_packet or 0)
            picture.pts = None if picture.dts is None else picture.dts - self._held_back
