"""Small synthetic clips for the tests: every picture carries its number in blocks that no lossy codec can blur."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

# The top row tells which way is up, and whether colours survive; below it lie the bits of the picture's number.
MARK = [(32, 32, 224), (32, 224, 32), (224, 32, 32), (224, 224, 224)]  # BGR
SIZE = (96, 72)


def picture(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(height, width, 3) uint8 BGR that shows `index`, 0..255."""
    bits = np.unpackbits(np.array([index], np.uint8)).reshape(2, 4, 1)
    grid = np.concatenate([np.array([MARK]), np.where(bits, 224, 32).repeat(3, axis=2)]).astype(np.uint8)
    return cv2.resize(grid, size, interpolation=cv2.INTER_NEAREST)


def blocks(image: np.ndarray) -> np.ndarray:
    """(3, 4, 3) the colour of every block, as its middle shows it."""
    shrunk = cv2.resize(image, (40, 30), interpolation=cv2.INTER_AREA)
    return shrunk.reshape(3, 10, 4, 10, 3)[:, 3:7, :, 3:7].astype(float).mean(axis=(1, 3))


def index_of(image: np.ndarray) -> int:
    """The number a picture shows; fails where the picture is not upright or its colours are not its own."""
    seen = blocks(image)
    assert np.abs(seen[0] - MARK).max() < 40, f"not upright, or wrong colours: {seen[0].round()}"
    return int(np.packbits(seen[1:].mean(axis=2).reshape(-1) > 128)[0])


def tone(seconds: float, rate: int = 44_100, channels: int = 2) -> np.ndarray:
    """(channels, samples) float32: a chirp, so that a shift in time shows."""
    t = np.arange(round(seconds * rate)) / rate
    return np.tile(0.4 * np.sin(2 * np.pi * (200 * t + 150 * t * t)), (channels, 1)).astype(np.float32)


def write_clip(
    path: Path,
    frames: int = 30,
    rate: Fraction | int = 30,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[Fraction | float] | None = None,
    time_base: Fraction | None = None,
    sound: str | None = None,
    sound_rate: int = 44_100,
    first: int = 0,
    format: str | None = None,
    muxer: dict[str, str] | None = None,
    **options: Any,
) -> Path:
    """Write a clip of numbered pictures.

    times: when each picture is shown, in seconds. sound: the codec of an audio track as long as the pictures.
    first: the first picture's number. options: the encoder's, such as bf=2; `context_NAME` sets an attribute.
    """
    os.environ.setdefault("SVT_LOG", "0")  # read once: SVT-AV1 would print for the rest of the process
    times = [Fraction(n) / rate for n in range(frames)] if times is None else [Fraction(t) for t in times]
    base = time_base or Fraction(1, 90_000 if codec != "mpeg4" else 60_000)
    with av.open(str(path), "w", format=format, options=muxer or {}) as output:
        encode = {name: str(value) for name, value in options.items() if not name.startswith("context_")}
        video = output.add_stream(codec, rate=rate, options=encode)
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.time_base = video.codec_context.time_base = base
        for name, value in options.items():
            if name.startswith("context_"):
                setattr(video.codec_context, name.removeprefix("context_"), value)
        audio = output.add_stream(sound, rate=sound_rate, layout="stereo") if sound else None
        for number, time in enumerate(times, first):
            image = picture(number % 256, size)
            shot = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
                format=pix_fmt,
                src_color_range="JPEG",
                dst_colorspace=video.codec_context.colorspace if video.codec_context.colorspace == 1 else "ITU601",
                dst_color_range=video.codec_context.color_range or "MPEG",
            )
            shot.pts, shot.time_base = round(time / base), base
            output.mux(video.encode(shot))
        output.mux(video.encode(None))
        if audio:
            samples = tone(float(times[-1] + Fraction(1) / rate), sound_rate)
            resampler = av.AudioResampler(
                audio.format.name, "stereo", sound_rate, audio.codec_context.frame_size or 1024
            )
            whole = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            whole.sample_rate, whole.pts, whole.time_base = sound_rate, 0, Fraction(1, sound_rate)
            for piece in [*resampler.resample(whole), *resampler.resample(None)]:
                output.mux(audio.encode(piece))
            output.mux(audio.encode(None))
    return path


@dataclass
class Seen:
    """What is in a file, decoded with PyAV alone."""

    times: list[float] = field(default_factory=list)  # seconds, of every picture
    indices: list[int] = field(default_factory=list)  # the numbers the pictures show
    size: tuple[int, int] = (0, 0)
    codec: str = ""
    sound: np.ndarray = field(default_factory=lambda: np.zeros(0))  # the first channel of the first audio track
    sound_rate: int = 0
    sound_start: float = 0.0  # seconds
    sound_codecs: list[str] = field(default_factory=list)  # of all audio tracks


def look(path: Path, numbered: bool = True) -> Seen:
    """Decode a file to its end; it fails where a picture is not upright, or its colours are not its own."""
    seen = Seen()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seen.codec, seen.size = stream.codec.canonical_name, (stream.width, stream.height)
        for shot in container.decode(stream):
            assert shot.pts is not None
            seen.times.append(float(shot.pts * shot.time_base))
            if numbered:
                seen.indices.append(index_of(shot.to_ndarray(format="bgr24")))
    with av.open(str(path)) as container:
        seen.sound_codecs = [s.codec.canonical_name for s in container.streams.audio]
        if pieces := list(container.decode(audio=0)) if seen.sound_codecs else []:
            seen.sound_rate, seen.sound_start = pieces[0].sample_rate, float(pieces[0].pts * pieces[0].time_base)
            planes = (
                p.to_ndarray()[0] if p.format.is_planar else p.to_ndarray()[0, :: p.layout.nb_channels] for p in pieces
            )
            seen.sound = np.concatenate(list(planes))
    return seen


def lag(before: Seen, after: Seen) -> float:
    """How much later, in seconds, the sound of `after` is against its pictures than that of `before`."""
    rate = before.sound_rate
    x = before.sound / np.abs(before.sound).max()
    y = np.interp(
        np.arange(0, len(after.sound) / after.sound_rate, 1 / rate),
        np.arange(len(after.sound)) / after.sound_rate,
        after.sound / np.abs(after.sound).max(),
    )
    size = 1 << (len(x) + len(y)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size)), size)
    shift = int(np.argmax(likeness))
    shift = shift - size if shift > size // 2 else shift
    in_before = before.sound_start - before.times[0]
    return shift / rate + (after.sound_start - after.times[0]) - in_before


def turn_metadata(path: Path, degrees: int, mirrored: bool = False) -> None:
    """Ask the player of an mp4 to turn its pictures by so many degrees clockwise, as a phone held upright does.

    mirrored: and, before that, to swap left and right, as front cameras do.
    """
    matrices = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = (value << 16 for value in matrices[degrees])
    if mirrored:
        a, b = -a, -b
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version and flags, times and ids, reserved, layer and volume
    content[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(content)


def damage(path: Path, packets: Sequence[int]) -> None:
    """Overwrite the video packets with these numbers (in the order of the file) with rubbish."""
    with av.open(str(path)) as container:
        payloads = [bytes(p) for p in container.demux(video=0) if p.size]
    content = path.read_bytes()
    for number in packets:
        # Containers may strip or change the first bytes of a packet.
        tail = payloads[number][8:]
        assert content.count(tail) == 1
        content = content.replace(tail, bytes((7 * i + 13) % 251 for i in range(len(tail))))
    path.write_bytes(content)
