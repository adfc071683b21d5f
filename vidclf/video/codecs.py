"""Knows what can be encoded here: the codecs of each container, the encoders that work, and their options."""

from __future__ import annotations

import io
import logging
import os
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import av.error
from av.video.reformatter import ColorRange

from vidclf.errors import UsageError, VidclfError
from vidclf.video.planes import even

log = logging.getLogger(__name__)

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
# Codec: its encoders, the preferred first. Hardware encoders are tested by opening them: being listed proves nothing.
ENCODERS = {
    "h264": ["h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf", "libx264", "libopenh264"],
    "hevc": ["hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf", "libx265"],
    "av1": ["av1_nvenc", "av1_qsv", "libsvtav1"],
    "vp9": ["libvpx-vp9"],
    "mpeg4": ["mpeg4"],
    "mjpeg": ["mjpeg"],
    "ffv1": ["ffv1"],
}
# Corrections to FFmpeg's own lists. MPEG-TS: FFmpeg would write any codec, but players know only these.
HELD = {"mpegts": {"h264", "hevc", "mpeg4", "mpeg2video"}}
NOT_HELD = {"mov": {"vp9", "av1"}}
HARDWARE = ("nvenc", "videotoolbox", "qsv", "amf")
DEFAULT_QUALITY = {"libx264": 23, "libx265": 28, "libvpx-vp9": 33, "libsvtav1": 35, "mpeg4": 4, "mjpeg": 4}


def check_codec(
    path: Path, codec: str | None, hardware: bool = True, quality: int | None = None
) -> tuple[str, list[str]]:
    """(container, encoders to try) for a file's suffix and a codec or encoder name; UsageError if there is none.

    hardware: also on a GPU. quality: if it is given, encoders for which we know no such option are the last choice.
    """
    if path.suffix.lower() not in CONTAINERS:
        what, hint = (path.suffix, "") if path.suffix else ("a file without suffix", "; a folder must end in /")
        raise UsageError(f"cannot write {what} ({path.name}); use one of {', '.join(CONTAINERS)}{hint}")
    container, usual = CONTAINERS[path.suffix.lower()]
    encoders = ENCODERS.get(codec or usual, [codec or usual])
    available = [name for name in encoders if name in av.codecs_available and _is_video_encoder(name)]
    if not available:
        raise UsageError(f"unknown codec {codec!r}; use one of {', '.join(ENCODERS)}, or the name of an FFmpeg encoder")
    held = _codecs_in(container)
    if (wanted := av.Codec(available[0], "w").canonical_name) not in held:
        choices = ", ".join(name for name in ENCODERS if name in held)
        raise UsageError(f"a {path.suffix} file cannot hold {wanted}; it can hold {choices}")
    if not hardware:
        available = [name for name in available if not name.endswith(HARDWARE)] or available
    if quality is not None:
        available.sort(key=lambda name: not has_quality(name))
    return container, available


def has_quality(encoder: str) -> bool:
    """Whether an encoder's options depend on the quality."""
    return encoder_options(encoder, 1) != encoder_options(encoder, 2)


def _is_video_encoder(name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:
        return False


@cache
def _codecs_in(container: str) -> set[str]:
    with av.open(io.BytesIO(), "w", format=container) as trial:
        return HELD.get(container, trial.supported_codecs) - NOT_HELD.get(container, set())


def encoder_options(codec: str, quality: int | None) -> dict[str, str]:
    """An encoder's options besides size, rate and colours; quality None uses the default."""
    level = str(quality if quality is not None else DEFAULT_QUALITY.get(codec, 23))
    if codec == "libx264":
        # A short look-ahead: a killed process loses the frames that the encoder holds back.
        return {"preset": "veryfast", "crf": level, "x264-params": "rc-lookahead=4:sync-lookahead=0"}
    if codec == "libx265":
        return {"preset": "veryfast", "crf": level, "x265-params": "log-level=error:rc-lookahead=5:bframes=0"}
    if codec == "libvpx-vp9":
        speed = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "lag-in-frames": "0"}
        return {"crf": level, "b": "0", **speed}
    if codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "0")  # keeps it from printing
        return {"crf": level, "preset": "9", "svtav1-params": "pred-struct=1:lookahead=0"}
    if codec in ("mpeg4", "mjpeg"):
        return {"qmin": level, "qmax": level}
    if codec.endswith("_nvenc"):
        return {"preset": "p4", "rc": "vbr", "cq": level, "b": "0"}
    if codec.endswith("_qsv"):
        return {"global_quality": level}
    return {}


def choose_encoder(encoders: list[str], size: tuple[int, int]) -> str:
    """The first encoder that works on this machine for pictures of (width, height).

    A GPU's may work now and not later, because it encodes only some videos at a time: then it is one in software.
    Raises VidclfError if only a hardware encoder is left, and it does not work.
    """
    name = _first_that_opens(tuple(encoders), even(size))
    if name.endswith(HARDWARE) and not opens(name, even(size)):  # FFmpeg would say: operation not permitted
        if other := next((encoder for encoder in encoders if not encoder.endswith(HARDWARE)), None):
            log.warning("the encoder %s does not work any more, maybe it has too much to do: using %s", name, other)
            return other
        usual, (width, height) = av.Codec(name, "w").canonical_name, size
        what = f"the encoder {name} does not work on this machine, for pictures of {width}x{height}"
        raise VidclfError(f"{what}; use codec {usual}, which chooses one that does")
    return name


@cache
def _first_that_opens(encoders: tuple[str, ...], size: tuple[int, int]) -> str:
    """The first encoder that works here at this size; the last one is software and needs no test."""
    for name in encoders[:-1]:
        if not name.endswith(HARDWARE) or opens(name, size):
            return name
    return encoders[-1]


def pixel_format(codec: av.Codec) -> str:
    """The pixels that an encoder is given: yuv420p, which all players know, or else its first choice."""
    formats = [each.name for each in codec.video_formats or ()]
    return "yuv420p" if not formats or "yuv420p" in formats else formats[0]


def opens(encoder: str, size: tuple[int, int] = (640, 360)) -> bool:
    """Whether an encoder works on this machine for pictures of (width, height); being listed does not prove it."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.options = encoder_options(encoder, None)
        context.width, context.height, context.pix_fmt = *size, pixel_format(context.codec)
        context.color_range = ColorRange.JPEG if encoder == "mjpeg" else ColorRange.MPEG
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.open()
        return True
    except (av.error.FFmpegError, ValueError, MemoryError):
        return False
