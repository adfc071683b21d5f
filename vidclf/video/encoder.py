"""Encodes frames into a video file with PyAV: timestamps as they are, and playable however the process ends."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Source
from vidclf.threads import threads
from vidclf.video.audio import sound_of
from vidclf.video.opening import reason
from vidclf.video.planes import BT601, BT709, even, to_yuv420p

# Suffix: (container, usual codec).
CONTAINERS = {
    ".mp4": ("mp4", "h264"),
    ".m4v": ("mp4", "h264"),
    ".mov": ("mov", "h264"),
    ".mkv": ("matroska", "h264"),
    ".webm": ("webm", "vp9"),
    ".avi": ("avi", "mpeg4"),
    ".ts": ("mpegts", "h264"),
}
# Codec: its encoders, the preferred first. Hardware ones are tried by opening them, as being listed proves nothing.
ENCODERS = {
    "h264": ["h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf", "libx264", "libopenh264"],
    "hevc": ["hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf", "libx265"],
    "av1": ["av1_nvenc", "av1_qsv", "libsvtav1"],
    "vp9": ["libvpx-vp9"],
    "mpeg4": ["mpeg4"],
    "mjpeg": ["mjpeg"],
    "ffv1": ["ffv1"],
}
# What FFmpeg's own list says too little of (mpegts: it writes the rest, too, as something no player knows) or too much.
HELD = {"mpegts": {"h264", "hevc", "mpeg4", "mpeg2video"}}
NOT_HELD = {"mov": {"vp9", "av1"}}
HARDWARE = ("nvenc", "videotoolbox", "qsv", "amf")
DEFAULT_QUALITY = {"libx264": 23, "libx265": 28, "libvpx-vp9": 33, "libsvtav1": 35, "mpeg4": 4, "mjpeg": 4}
# What a killed process may lose: to the container, the shorter of these two; to the encoder, a frame a thread.
FRAGMENT_SECONDS, FRAGMENT_FRAMES = 0.5, 5
H273_BT709, H273_BT601 = 1, 6  # what colorspace is called in H.273; 6: SMPTE 170M, what ITU601 means
MPEG4_CLOCK = 65_535  # the finest time base MPEG-4 part 2 can express


def check_codec(path: Path, codec: str | None, hardware: bool = True) -> tuple[str, list[str]]:
    """(container, encoders to try) for a file's suffix and a codec or encoder name; UsageError if there is none."""
    if path.suffix.lower() not in CONTAINERS:
        what, hint = (path.suffix, "") if path.suffix else ("a file without suffix", f"; a folder is {path.name}/")
        raise UsageError(f"cannot write {what} ({path.name}); one of {', '.join(CONTAINERS)}{hint}")
    container, usual = CONTAINERS[path.suffix.lower()]
    encoders = ENCODERS.get(codec or usual, [codec or usual])
    available = [name for name in encoders if name in av.codecs_available and _is_video_encoder(name)]
    if not available:
        raise UsageError(f"unknown codec {codec!r}; one of {', '.join(ENCODERS)}, or the name of an FFmpeg encoder")
    held = _codecs_in(container)
    if (wanted := av.Codec(available[0], "w").canonical_name) not in held:
        choices = ", ".join(name for name in ENCODERS if name in held)
        raise UsageError(f"a {path.suffix} file cannot hold {wanted}; it can hold {choices}")
    software = [name for name in available if not name.endswith(HARDWARE)]
    return container, (software or available) if not hardware else available


def _is_video_encoder(name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:
        return False


@cache
def _codecs_in(container: str) -> set[str]:
    with av.open(io.BytesIO(), "w", format=container) as trial:
        return HELD.get(container, trial.supported_codecs) - NOT_HELD.get(container, set())


class Encoder:
    """One output file. MP4 is written in fragments that need no index, and gets one when it is closed.

    size: (width, height) of the pictures to come; `self.size` is what they must be made to have, as most codecs
    need even sides. rate: average frames a second; time_base: of the timestamps to come, if they can be kept:
    `self.time_base` is what the codec allows. quality: the codec's own scale, smaller is better (H.264: 0..51).
    sound: a source whose audio tracks are carried over. sample_aspect_ratio: a pixel's width by its height, if known.
    Raises VidclfError if the encoder refuses all this.
    """

    def __init__(
        self,
        part: Path,
        container: str,
        encoders: list[str],
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        quality: int | None = None,
        sound: Source | None = None,
        sample_aspect_ratio: Fraction | None = None,
    ):
        codec = _first_that_opens(tuple(encoders), even(size))
        if codec.endswith(HARDWARE) and not opens(codec, even(size)):  # FFmpeg's own words: operation not permitted
            usual, (width, height) = av.Codec(codec, "w").canonical_name, size
            what = f"the encoder {codec} does not work on this machine, for pictures of {width}x{height}"
            raise VidclfError(f"{what}; codec {usual} takes one that does")
        fragment = min(FRAGMENT_SECONDS, float(FRAGMENT_FRAMES / rate))
        options = {"flush_packets": "1", "max_interleave_delta": str(int(fragment * 1_000_000))}
        if container in ("mp4", "mov"):
            # delay_moov: the header knows where each track begins, as sound often does before zero
            flags = "hybrid_fragmented+delay_moov"
            options |= {"movflags": flags, "frag_duration": str(int(fragment * 1_000_000))}
        elif container in ("matroska", "webm"):
            options |= {"cluster_time_limit": str(int(fragment * 1000))}
        # AVI counts frames: anything finer than a tick a frame is filled up with empty ones. A tick a frame it stays,
        # for whoever asked for that, too, where no clock has just this rate.
        if container == "avi" or (codec == "mpeg4" and time_base == 1 / rate):
            rate = rate.limit_denominator(max(1, int(MPEG4_CLOCK / rate)))
            time_base = 1 / rate
        self._what = f"{codec} to {part}"
        with self._explained():
            self._output = av.open(str(part), "w", format=container, options=options)
            self._stream: Any = self._output.add_stream(codec, rate=rate, options=encoder_options(codec, quality))
            self._configure(codec, size, rate, time_base)
            if sample_aspect_ratio:  # in the codec's own header: VP9, AV1 and FFV1 mostly lose it
                self._stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
            self._audio = sound_of(sound, self._output) if sound else None
            self._output.start_encoding()
        self.size: tuple[int, int] = (self._stream.width, self._stream.height)
        self.time_base: Fraction = self._stream.codec_context.time_base

    def _configure(self, codec: str, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> None:
        stream, context = self._stream, self._stream.codec_context
        formats = [f.name for f in stream.codec.video_formats or ()]
        stream.pix_fmt = "yuv420p" if not formats or "yuv420p" in formats else formats[0]
        halves_colour = stream.pix_fmt in ("yuv420p", "yuvj420p", "nv12")
        stream.width, stream.height = even(size) if halves_colour else size
        if codec == "mpeg4" and time_base.denominator > MPEG4_CLOCK:
            time_base = Fraction(1, 60_000)
        if stream.codec.canonical_name == "hevc" and self._output.format.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players know no other
        stream.time_base = context.time_base = time_base
        context.gop_size = max(1, min(250, round(rate * 2)))  # a place to seek to every two seconds
        # Frames leave in the order they came: timestamps need no edit list, and a killed file loses less.
        context.max_b_frames = 0
        # Several pictures at once, not parts of one: no thread waits for another's part, nor `write` for all of them.
        context.thread_type, context.thread_count = "FRAME", threads("encoder")
        # BT.709 from 720 lines up, BT.601 below, as everybody guesses where a file does not say; JPEG knows one only.
        is_jpeg = codec == "mjpeg"
        is_709 = stream.height >= 720 and not is_jpeg
        context.colorspace = H273_BT709 if is_709 else H273_BT601
        context.color_range = ColorRange.JPEG if is_jpeg or "yuvj" in stream.pix_fmt else ColorRange.MPEG
        self._reformatter = VideoReformatter()

    def write(self, image: np.ndarray, pts: int) -> None:
        """Encode one picture of `self.size`, (height, width, 3) uint8 BGR, shown at `pts` x `self.time_base`."""
        picture = self._converted(image)
        picture.pts, picture.time_base = pts, self.time_base
        with self._explained():
            packets = self._stream.encode(picture)
            until = packets[-1].dts * packets[-1].time_base if packets else None
            self._output.mux(packets)
            if self._audio and until is not None:
                self._audio.write(until)

    def _converted(self, image: np.ndarray) -> av.VideoFrame:
        """A picture in the encoder's colours and pixel format."""
        context = self._stream.codec_context
        is_709 = context.colorspace == H273_BT709
        if self._stream.pix_fmt == "yuv420p":
            shares, full_range = BT709 if is_709 else BT601, context.color_range == ColorRange.JPEG
            picture = to_yuv420p(image, shares, full_range)
            picture.colorspace, picture.color_range = context.colorspace, context.color_range
            return picture
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(image, format="bgr24"),
            format=self._stream.pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709 if is_709 else Colorspace.ITU601,
            dst_color_range=context.color_range,
            # Without the second, everything is a level or two too dark.
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,  # as in `Upright`
        )

    def close(self, sound_until: Fraction | None = None) -> None:
        """Finish the file; the sound goes on to its own end, or until a time in seconds."""
        with self._explained():
            try:
                self._output.mux(self._stream.encode(None))
                if self._audio:
                    self._audio.write(sound_until)
                    self._audio.close()
            finally:
                self._output.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What FFmpeg says of a full disk or an impossible setting, as one line."""
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VidclfError(f"cannot write {self._what}: {reason(error)}") from None


def encoder_options(codec: str, quality: int | None) -> dict[str, str]:
    """What an encoder is told besides size, rate and colours; quality None is the usual one."""
    level = str(quality if quality is not None else DEFAULT_QUALITY.get(codec, 23))
    if codec == "libx264":
        # A short look-ahead: what it holds back is what a killed process loses.
        return {"preset": "veryfast", "crf": level, "x264-params": "rc-lookahead=4:sync-lookahead=0"}
    if codec == "libx265":
        return {"preset": "veryfast", "crf": level, "x265-params": "log-level=error:rc-lookahead=5:bframes=0"}
    if codec == "libvpx-vp9":
        speed = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "lag-in-frames": "0"}
        return {"crf": level, "b": "0", **speed}
    if codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")  # its own way to be told not to print
        return {"crf": level, "preset": "9", "svtav1-params": "pred-struct=1:lookahead=0"}
    if codec in ("mpeg4", "mjpeg"):
        return {"qmin": level, "qmax": level}
    if codec.endswith("_nvenc"):
        return {"preset": "p4", "rc": "vbr", "cq": level, "b": "0"}
    if codec.endswith("_qsv"):
        return {"global_quality": level}
    return {}


@cache
def _first_that_opens(encoders: tuple[str, ...], size: tuple[int, int]) -> str:
    """The first encoder that really works here at this size; the last is software and needs no trial."""
    for name in encoders[:-1]:
        if not name.endswith(HARDWARE) or opens(name, size):
            return name
    return encoders[-1]


def opens(encoder: str, size: tuple[int, int] = (640, 360)) -> bool:
    """Whether an encoder works on this machine for pictures of (width, height); being listed does not prove it."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.options = encoder_options(encoder, None)
        context.width, context.height, context.pix_fmt = *size, "yuv420p"
        context.color_range = ColorRange.JPEG if encoder == "mjpeg" else ColorRange.MPEG
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.open()
        return True
    except (av.error.FFmpegError, ValueError, MemoryError):
        return False
