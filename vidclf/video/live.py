"""Reads a live source until it is stopped: reconnects, keeps one clock, and never falls behind for long."""

from __future__ import annotations

import errno
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import av.error

from vidclf.errors import VidclfError
from vidclf.video.address import is_camera, is_url
from vidclf.video.decoder import BROKEN_READS, POLL, video_stream
from vidclf.video.live_clock import LiveClock
from vidclf.video.opening import explained, live_patience, open_live, reason

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from vidclf.frame import Source

log = logging.getLogger(__name__)

Shot = tuple["VideoFrame", int, float]  # a picture, its timestamp, when it was taken

FIRST_WAIT, LONGEST_WAIT = 0.25, 3.0  # seconds between two attempts to connect; doubled from one to the other
BLINK = 0.1  # seconds within which a waiting source notices that it should stop
FRESH = 0.001  # seconds: waiting this long for a packet means that all earlier ones have been read
BEHIND = 0.05  # seconds behind the source's edge from which pictures are skipped: fresher ones are waiting
LONGEST_SKIP = 0.1  # seconds: late pictures are better than none
FAR_BEHIND = 0.5  # seconds behind from which all but key frames are not even decoded
BARREN = 20.0  # seconds of packets without a picture: some cameras send a key frame every 10 s only
BY_ARRIVAL = {"mpjpeg", "mjpeg", "image2pipe", "h264", "hevc"}  # containers without a clock: FFmpeg invents one


class Live:
    """Yields a live source's pictures, whatever happens to the source.

    A connection ends if no data comes, or if no picture can be decoded from it.
    Updates `source`'s state, problem, reconnects, corrupt packets, skipped frames (as "behind") and waiting time.
    options, transport, hardware: see `open_live`. give_up_after: seconds without a picture; None: never give up.
    """

    def __init__(
        self,
        uri: str,
        source: Source,
        options: dict[str, str],
        transport: str,
        give_up_after: float | None = None,
        hardware: bool = False,
    ):
        self.uri, self.source, self.options, self.transport, self.hardware = uri, source, options, transport, hardware
        self.give_up_after = give_up_after
        self._clock = LiveClock()
        self._seen = perf_counter()  # time of the latest picture, or of the beginning
        self._ended_by = ""  # why the latest connection ended or failed

    def connections(self) -> Iterator[tuple[InputContainer, VideoStream] | None]:
        """Yield one connection after another, and None while there is none.

        Raises UsageError for a local camera that is absent at the start.
        """
        source, wait = self.source, FIRST_WAIT
        while True:
            self._ended_by, seen, asked = "the stream ended", self._seen, perf_counter()
            try:
                with self._open() as container:
                    stream = video_stream(container, self.uri)
                    stream.codec_context.thread_type = "SLICE"  # the other kind delays pictures
                    self._clock.reconnected()
                    yield container, stream
            except VidclfError as error:
                self._ended_by = str(error)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                if is_camera(self.uri) and source.state == "absent":
                    with explained(self.uri):
                        raise
                # An RTSP source that runs into the time limit reports bad data.
                took, limit = perf_counter() - asked, live_patience(self.uri)[0]
                timed_out = is_url(self.uri) and took > limit
                why = "the server sends no video" if self._is_over(error) else reason(error)
                self._ended_by = f"no data for {limit:.0f} s" if timed_out else why
            self._disconnected()
            if self.give_up_after is not None and perf_counter() - self._seen > self.give_up_after:
                source.state = "given up"
                log.warning("giving up on %s: no picture for %g s", source.name, self.give_up_after)
                return
            wait = FIRST_WAIT if self._seen > seen else min(2 * wait, LONGEST_WAIT)
            yield from self._pause(wait * random.uniform(0.5, 1.0))  # many cameras should not reconnect at once

    def _open(self) -> InputContainer:
        with self._waiting():
            return open_live(self.uri, self.options, self.transport, self.hardware)

    def pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[Shot | None]:
        """Yield the pictures of one connection, each with its timestamp and when it was taken; None if none is ready.

        Ends when the connection does.
        """
        source, clock = self.source, self._clock
        paced = container.format.name == "hls"
        by_arrival = container.format.name in BY_ARRIVAL
        patience = min(BARREN, self.give_up_after or BARREN)
        barren: float | None = None  # since when packets have yielded no picture
        late = shown = 0.0
        for read in self._packets(container, stream):
            if read is None:
                yield None
                continue
            packet, fresh, arrived = read
            context: Any = stream.codec_context
            if late > FAR_BEHIND or packet.is_keyframe or context.skip_frame != "NONKEY":
                context.skip_frame = "NONKEY" if late > FAR_BEHIND else "NONREF" if late > BEHIND else "DEFAULT"
            made = _decoded(packet)
            if made is None:
                source.corrupt += 1
            elif not made and packet.size and context.skip_frame != "DEFAULT":
                source.dropped["behind"] += 1
                time = _seconds(packet.pts if packet.dts is None else packet.dts, packet.time_base)
                late = perf_counter() - clock.taken(time, arrived, fresh, paced)
            if made:
                barren = None
            else:
                yield None
                barren = arrived if barren is None else barren
                if arrived - barren > patience:
                    self._ended_by = f"no picture for {patience:g} s"
                    return
            for picture in made or ():
                time = None if by_arrival else _seconds(picture.pts, picture.time_base)
                taken = clock.taken(time, arrived, fresh, paced)
                if paced:
                    yield from self._pause(taken - perf_counter())
                late = perf_counter() - taken
                self._seen = now = perf_counter()
                self._connected()
                if late > BEHIND and now - shown < LONGEST_SKIP:
                    source.dropped["behind"] += 1
                    yield None
                else:
                    shown = now
                    yield picture, clock.ticks(taken), taken

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[Packet[Any], bool, float] | None]:
        """Yield packets, whether each had to be waited for, and when it came; None while there is none.

        Packets of all streams are read: pictures may stop while the sound goes on.
        """
        broken = 0
        empty_since: float | None = None  # since when a device has had nothing
        patience = live_patience(self.uri)[1]
        silence, fresh = 0.0, False  # since the latest packet: seconds that others were waited for, and whether any was
        packets = container.demux()
        while broken < BROKEN_READS:
            asked = perf_counter()
            try:
                with self._waiting():
                    packet = next(packets, None)
            except BlockingIOError:
                empty_since = asked if empty_since is None else empty_since
                if asked - empty_since > patience:
                    self._ended_by = f"no data for {patience:.0f} s"
                    return
                packets = container.demux()  # a generator that raised is finished
                yield from self._pause(POLL)
                continue
            except (OSError, av.error.ExitError) as error:
                if not self._is_over(error):
                    self._ended_by = reason(error, patience)
                return
            except av.error.FFmpegError:
                self.source.corrupt += 1
                broken += 1
                packets = container.demux()  # a generator that raised is finished
                yield None
                continue
            arrived = perf_counter()
            if packet is None:
                return
            broken = 0
            fresh = fresh or empty_since is not None or arrived - asked > FRESH
            empty_since = None
            silence += arrived - asked  # not the time that the pipeline took
            is_over = silence > patience  # a packet that comes now may be the last that FFmpeg had; it would try again
            if packet.stream.index == stream.index:  # the last ones, which end each stream, all have stream_index 0
                yield packet, fresh, arrived
                silence, fresh = 0.0, False
            else:
                yield None
            if is_over:
                self._ended_by = f"no data for {patience:.0f} s"
                return
        self._ended_by = f"{broken} reads failed in a row"

    def _is_over(self, error: Exception) -> bool:
        """Whether a server just sends no (more) video, which FFmpeg reports as an I/O error or invalid data."""
        is_such = isinstance(error, av.error.InvalidDataError) or getattr(error, "errno", None) == errno.EIO
        return is_such and is_url(self.uri)

    def _connected(self) -> None:
        source = self.source
        if source.state != "connected":
            source.reconnects += source.state == "reconnecting"
            source.state, source.problem = "connected", ""
            log.info("%s is connected", source.name)

    def _disconnected(self) -> None:
        """Note why there is no picture; logged once, not at every attempt."""
        source = self.source
        if source.problem != self._ended_by:
            source.problem = self._ended_by
            log.warning("%s: %s; trying again", source.name, source.problem)
        if source.state == "connected":
            source.state = "reconnecting"

    def _pause(self, seconds: float) -> Iterator[None]:
        until = perf_counter() + seconds
        while (left := until - perf_counter()) > 0:
            with self._waiting():
                sleep(min(left, BLINK))
            yield None

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Measure time spent only waiting for the source; it counts while it goes on."""
        source = self.source
        source.waits_since = began = perf_counter()
        try:
            yield
        finally:
            source.waited += perf_counter() - began  # first, so that a reader in between does not count it as work
            source.waits_since = None


def _decoded(packet: Packet[Any]) -> list[VideoFrame] | None:
    """A packet's pictures; None if it is corrupt."""
    try:
        return packet.decode()
    except av.error.FFmpegError:
        return None


def _seconds(at: int | None, time_base: Fraction | None) -> float | None:
    return None if at is None or time_base is None else float(at * time_base)
