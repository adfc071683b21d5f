"""Copies a source's sound into the file that is written from its frames."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.bitstream import BitStreamFilterContext

from vidclf.frame import Source
from vidclf.video.opening import open_again, reason
from vidclf.video.timestamps import Timestamps

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

log = logging.getLogger(__name__)

AHEAD = 500  # packets that are read, to see which tracks have any
# FFmpeg's own list is incomplete (mpegts), or contains more than players can play (avi).
COPIED = {
    "mpegts": {"aac", "ac3", "eac3", "mp2", "mp3"},
    "avi": {"ac3", "mp2", "mp3", "pcm_s16le", "pcm_u8"},
}
TRANSCODED = {"mp4": "aac", "mov": "aac", "matroska": "aac", "webm": "libopus", "avi": "libmp3lame", "mpegts": "aac"}


def sound_of(source: Source, output: OutputContainer) -> Audio | None:
    """The sound of `source`, read separately from its pictures: no stage needs it, so frames need not carry it.

    None, with a warning, if the source cannot be opened a second time: some servers deliver a file only once.
    """
    try:
        opened = open_again(source)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        log.warning("no sound from %s: %s", source.name, reason(error))
        return None
    return Audio(source, opened, output)


class Audio:
    """Every audio track of `source`, copied packet by packet, or transcoded if the container cannot hold its codec.

    opened: the source, opened a second time, at its start; `close` closes it. A track that cannot be copied is
    skipped with a warning.
    """

    def __init__(self, source: Source, opened: InputContainer, output: OutputContainer):
        self._source, self._output = opened, output
        self._shift = source.origin + Fraction(source.begin)  # source clock at the output's zero, seconds
        self._tracks: dict[int, _Copied | _Transcoded] = {}
        skipped = "audio track %d of %s is skipped: %s"
        streams: dict[int, AudioStream] = {}
        for stream in self._source.streams.audio:
            # Without a context, the stream has no rate and no codec to ask for.
            if stream.codec_context is None:
                log.warning(skipped, stream.index, source.name, "FFmpeg does not know its codec")
            elif not stream.rate:
                log.warning(skipped, stream.index, source.name, "its sample rate is unknown")
            else:
                streams[stream.index] = stream
        packets, silent = self._begin(streams, seek=source.begin > 0)
        for index, stream in streams.items():
            if index in silent:
                continue
            try:
                kind = _Copied if _can_hold(output.format.name, stream) else _Transcoded
                self._tracks[index] = kind(stream, output)
            except (av.error.FFmpegError, ValueError) as error:
                log.warning(skipped, index, source.name, reason(error))
        self._packets = (packet for packet in packets if packet.stream_index in self._tracks)
        self._next = next(self._packets, None)

    def write(self, until: Fraction | None = None) -> None:
        """Write the sound up to `until` seconds of the output, or all that is left."""
        while self._next is not None:
            if until is not None and self._time(self._next) > until:
                return
            if self._is_wanted(self._next):
                self._mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Flush the codecs and close the source."""
        for track in self._tracks.values():
            with suppress(ValueError):
                self._output.mux(track.flush())
        self._source.close()

    def _begin(self, streams: dict[int, AudioStream], seek: bool) -> tuple[Iterator[Packet[Any]], set[int]]:
        """All packets, and the tracks that have none from the output's zero on, as far as the next ones tell.

        MP4 gets no header before every track has a packet: without one, nothing is written until the end.
        """
        packets, silent = self._read(streams, seek), set(streams)
        ahead: list[Packet[Any]] = []
        while silent and len(ahead) < AHEAD:
            if (packet := next(packets, None)) is None:
                return iter(ahead), silent
            ahead.append(packet)
            if self._is_wanted(packet):
                silent.discard(packet.stream_index)
        return chain(ahead, packets), set()

    def _is_wanted(self, packet: Packet[Any]) -> bool:
        return self._time(packet) >= 0 or self._shift == 0

    def _mux(self, packet: Packet[Any]) -> None:
        track = self._tracks[packet.stream_index]
        try:
            converted = track.convert(packet, round(self._shift / packet.time_base))
        except (av.error.FFmpegError, ValueError) as error:  # a codec's errors are of many kinds
            log.debug("a packet of sound is skipped: %s", reason(error))
            return
        try:
            self._output.mux(converted if track.starts_early else _from_zero(converted))
        except ValueError as error:  # includes PyAV's "invalid data" and "invalid argument", but not a full disk
            log.debug("a packet of sound is skipped: %s", reason(error))

    def _time(self, packet: Packet[Any]) -> Fraction:
        assert packet.dts is not None
        return packet.dts * packet.time_base - self._shift

    def _read(self, streams: dict[int, AudioStream], seek: bool) -> Iterator[Packet[Any]]:
        """The packets of all tracks, each later than the one before on its track, up to the first read error."""
        if not streams:
            return
        clocks: dict[int, Timestamps[Packet[Any]]] = {}
        if seek:
            with suppress(av.error.FFmpegError):  # otherwise read from the start: early packets are not written
                self._source.seek(int(self._shift * 1_000_000), backward=True)
        try:
            for packet in self._source.demux(list(streams.values())):
                if packet.size:
                    usual = packet.duration or 1
                    clock = clocks.setdefault(packet.stream_index, Timestamps(usual, packet.time_base))
                    yield from _retimed(clock.add(packet, packet.dts))
        except av.error.FFmpegError as error:
            log.warning("the sound ends early: %s", reason(error))
        for clock in clocks.values():
            yield from _retimed(clock.rest())


class _Copied:
    """A track whose packets are copied unchanged."""

    def __init__(self, stream: AudioStream, output: OutputContainer):
        self._stream = output.add_stream_from_template(stream)
        if language := stream.metadata.get("language"):
            self._stream.metadata["language"] = language
        codec, container = stream.codec.canonical_name, output.format.name
        # MPEG-TS repeats AAC's set-up in every packet; other containers have it once, in the header.
        repeats = codec == "aac" and not stream.codec_context.extradata and container != "mpegts"
        self._filter = BitStreamFilterContext("aac_adtstoasc", stream) if repeats else None
        # A codec's delay lies before time zero. MP4 tells players to skip it; so does Matroska, if the source says how
        # long it is. In other containers a negative time would make FFmpeg shift everything, pictures included.
        delay_is_known = codec == "opus" or "matroska" in stream.container.format.name
        self.starts_early = container in ("mp4", "mov") or (container in ("matroska", "webm") and delay_is_known)

    def convert(self, packet: Packet[Any], shift: int) -> list[Packet[Any]]:
        assert packet.dts is not None
        packet.dts -= shift
        assert packet.pts is not None
        packet.pts -= shift
        packets = self._filter.filter(packet) if self._filter else [packet]
        for each in packets:
            each.stream = self._stream
        return packets

    def flush(self) -> list[Packet[Any]]:
        return []


class _Transcoded:
    """A track that is decoded and encoded again, as one or two channels."""

    def __init__(self, stream: AudioStream, output: OutputContainer):
        container = output.format.name
        codec = av.Codec(TRANSCODED[container], "w")
        rates: list[int] = codec.audio_rates or [stream.rate]
        rate = stream.rate if stream.rate in rates else min(48_000, max(rates))
        layout = "mono" if stream.channels == 1 else "stereo"
        encoder: Any = output.add_stream(codec.name, rate=rate, layout=layout)
        self._encoder = encoder
        encoder.codec_context.open()  # its frame size is known only after this
        size = encoder.codec_context.frame_size or None
        self._made_for: tuple[str, str, int] | None = None  # format, layout and rate of the sound
        self._make_resampler = partial(av.AudioResampler, encoder.format.name, layout, rate, frame_size=size)
        self._resampler = self._make_resampler()
        self.starts_early = container not in ("avi", "mpegts")

    def convert(self, packet: Packet[Any], shift: int) -> list[Packet[Any]]:
        made = []
        frames: list[Any] = packet.decode()
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= shift
            if (kind := (frame.format.name, frame.layout.name, frame.sample_rate)) != self._made_for:
                # Broadcasts change between stereo and 5.1; less than one packet of sound is lost.
                self._made_for, self._resampler = kind, self._make_resampler()
            for piece in self._resampler.resample(frame):
                made += self._encoder.encode(piece)
        return made

    def flush(self) -> list[Packet[Any]]:
        made = []
        for piece in self._resampler.resample(None):
            made += self._encoder.encode(piece)
        return made + self._encoder.encode(None)


def _retimed(repaired: list[tuple[Packet[Any], int]]) -> list[Packet[Any]]:
    for packet, dts in repaired:
        ahead = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        packet.dts, packet.pts = dts, dts + ahead
    return [packet for packet, _ in repaired]


def _can_hold(container: str, stream: AudioStream) -> bool:
    """Whether a stream's packets can be copied into a container; tried out, since lists of codecs are unreliable."""
    codec = stream.codec.canonical_name
    if container in COPIED:
        return codec in COPIED[container]
    if container == "mp4" and (codec.startswith("pcm") or codec == "vorbis"):
        return False  # FFmpeg would, but browsers and many players are silent then
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
            return codec in trial.supported_codecs
    except (av.error.FFmpegError, ValueError):
        return False


def _from_zero(packets: list[Packet[Any]]) -> list[Packet[Any]]:
    """Drop packets before time zero; one that begins early by less than half its duration starts at zero."""
    kept = [p for p in packets if p.dts is None or p.dts + (p.duration or 0) / 2 >= 0]
    for packet in kept:
        if packet.dts is not None and packet.dts < 0:
            packet.pts = packet.dts = 0
    return kept
