"""Carries a source's sound over into the file that is written from its frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import av.error

from vidclf.frame import Source

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

log = logging.getLogger(__name__)


class Audio:
    """Every audio track of `source`, copied packet for packet; transcoded where the container cannot hold its codec.

    It opens the source a second time: sound needs no stage, so it need not travel with the frames.
    """

    def __init__(self, source: Source, output: OutputContainer):
        self._output = output
        self._container = av.open(source.uri) if source.uri else None
        self._shift = source.origin + Fraction(source.begin)  # source clock at the output's zero, seconds
        self._tracks: dict[int, _Copied | _Transcoded] = {}
        for stream in self._container.streams.audio if self._container else ():
            try:
                kind = _Copied if stream.codec.canonical_name in output.supported_codecs else _Transcoded
                self._tracks[stream.index] = kind(stream, output)
            except (av.error.FFmpegError, ValueError) as error:
                log.warning("audio track %d of %s is left out: %s", stream.index, source.name, error)
        self._packets = self._read(source.begin)
        self._next = next(self._packets, None)

    def write(self, until: Fraction | None = None) -> None:
        """Write the sound up to `until` seconds of the output, or all that is left."""
        while self._next is not None:
            if until is not None and self._time(self._next) > until:
                return
            if self._time(self._next) >= 0 or self._shift == 0:
                self._mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Flush what the codecs hold back and let go of the source."""
        for track in self._tracks.values():
            self._output.mux(track.flush())
        if self._container:
            self._container.close()

    def _mux(self, packet: Packet[Any]) -> None:
        track = self._tracks[packet.stream_index]
        shift = round(self._shift / packet.time_base)
        try:
            self._output.mux(track.convert(packet, shift))
        except av.error.InvalidDataError:
            log.debug("a corrupt audio packet is left out")

    def _time(self, packet: Packet[Any]) -> Fraction:
        assert packet.dts is not None
        return packet.dts * packet.time_base - self._shift

    def _read(self, begin: float) -> Iterator[Packet[Any]]:
        """The packets of all tracks, each later than the one before on its track, up to the first read error."""
        if not self._container or not self._tracks:
            return
        if begin:
            self._container.seek(int(begin * 1_000_000), backward=True)
        latest: dict[int, int] = {}
        try:
            for packet in self._container.demux([self._container.streams[i] for i in self._tracks]):
                if packet.dts is not None and packet.dts > latest.get(packet.stream_index, -(1 << 62)):
                    latest[packet.stream_index] = packet.dts
                    yield packet
        except av.error.FFmpegError as error:
            log.warning("the sound ends early: %s", error)


class _Copied:
    def __init__(self, stream: AudioStream, output: OutputContainer):
        self._stream = output.add_stream_from_template(stream)
        if language := stream.metadata.get("language"):
            self._stream.metadata["language"] = language

    def convert(self, packet: Packet[Any], shift: int) -> list[Packet[Any]]:
        assert packet.dts is not None
        packet.dts -= shift
        packet.pts = packet.pts - shift if packet.pts is not None else packet.dts
        packet.stream = self._stream
        return [packet]

    def flush(self) -> list[Packet[Any]]:
        return []


class _Transcoded:
    def __init__(self, stream: AudioStream, output: OutputContainer):
        codec = output.default_audio_codec
        codec = {"opus": "libopus", "vorbis": "libopus"}.get(codec, codec)
        # Opus knows five rates; 48 kHz suits every other codec too.
        rate = 48_000 if codec == "libopus" else stream.rate
        encoder: Any = output.add_stream(codec, rate=rate, layout=stream.layout.name)
        self._encoder = encoder
        self._resampler = av.AudioResampler(
            encoder.format.name, encoder.layout.name, rate, frame_size=encoder.codec_context.frame_size or None
        )

    def convert(self, packet: Packet[Any], shift: int) -> list[Packet[Any]]:
        made = []
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= shift
            for piece in self._resampler.resample(frame):
                made += self._encoder.encode(piece)
        return made

    def flush(self) -> list[Packet[Any]]:
        made = []
        for piece in self._resampler.resample(None):
            made += self._encoder.encode(piece)
        return made + self._encoder.encode(None)
