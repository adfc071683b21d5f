"""Opens any source that a user may name: a file, a URL, a camera, a pattern of pictures."""

from __future__ import annotations

import errno
import glob
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import USUAL_RATE, Source
from vidclf.video.address import is_camera, is_hls, is_url, redact

log = logging.getLogger(__name__)

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
PATIENCE = (10.0, 10.0)  # seconds that a network source may send nothing: while it is opened, and later
LIVE_PATIENCE = (5.0, 3.0)  # the same for a live one, which is cheap to reopen
HLS_PATIENCE = (10.0, 20.0)  # between two segments there is nothing to read, mostly for 2 to 10 s
# Options that let live sources start fast and lose little; `options` of a capture override these.
LIVE_OPTIONS = {"analyzeduration": "3000000", "fpsprobesize": "3"}
UDP_OPTIONS = {"fifo_size": "50000", "buffer_size": "4194304", "overrun_nonfatal": "1"}  # 188 bytes each; bytes


def is_recording(source: str, container: InputContainer) -> bool:
    """Whether an open HTTP source has an end after all: a playlist that is complete, or a file of known size."""
    if not source.lower().startswith("http"):
        return False
    return bool(container.duration) if container.format.name == "hls" else container.size > 0


def opens_twice(source: str) -> bool:
    """Whether a second reader gets everything, too: two readers of a pipe (a FIFO, stdin) share its bytes."""
    if is_url(source):
        return urlsplit(source).scheme.lower() not in ("pipe", "fd")
    return Path(source).is_file()


def reads_pipe(container: InputContainer) -> bool:
    """Whether a source that was opened with `stopping` is a pipe, in which nobody can go back."""
    return container.io_open is not None


def open_source(
    source: str,
    rate: float | None = None,
    hardware: bool = False,
    stopping: Callable[[], bool] | None = None,
    options: Mapping[str, str] | None = None,
) -> InputContainer:
    """Open a source for reading.

    rate: pictures per second, for a pattern of pictures (25 by default). hardware: see `hardware_decoder`. options:
    FFmpeg's, of a device or a URL.
    stopping: tells when to wait no longer for a pipe. None if nothing does: Ctrl-C must not be lost in PyAV's callback.
    Raises UsageError if the source does not exist, VidclfError if FFmpeg cannot read it.
    """
    with explained(source):
        is_file = not (is_camera(source) or is_url(source))
        name, usual, arguments = _file(source, rate) if is_file else _device_or_url(source)
        given = {} if is_file else dict(options or {})
        if stopping and is_file and Path(source).is_fifo():
            from vidclf.video.pipe import Pipe  # which Windows has not

            arguments["io_open"] = lambda *_: Pipe(source, stopping)
        accelerator = hardware_decoder() if hardware else None
        return av.open(name, mode="r", options=usual | given, hwaccel=accelerator, **arguments)


def live_patience(source: str) -> tuple[float, float]:
    """Seconds that a live source may send nothing: while it is opened, and later."""
    return HLS_PATIENCE if is_hls(source) else LIVE_PATIENCE


def open_live(source: str, options: dict[str, str], transport: str = "tcp", hardware: bool = False) -> InputContainer:
    """Open a live source: within seconds, and with limits on how long it may send nothing; raises PyAV's errors.

    options: FFmpeg's. transport: of RTSP. hardware: see `hardware_decoder`.
    """
    name, usual, arguments = _device_or_url(source, transport)
    arguments["timeout"] = live_patience(source)
    if is_url(source):
        usual |= LIVE_OPTIONS
    if is_hls(source):
        usual["live_start_index"] = "-1"  # the latest segment
    if source.lower().startswith("udp:"):
        usual |= UDP_OPTIONS
    accelerator = hardware_decoder() if hardware else None
    return av.open(name, mode="r", options=usual | options, hwaccel=accelerator, **arguments)


@cache
def hardware_decoder() -> HWAccel | None:
    """The decoder of this machine's GPU, by trial: NVDEC, VideoToolbox, VA-API, ...; warns once if there is none.

    A video that it cannot decode is decoded in software; pictures are copied back into main memory.
    """
    for kind in hwdevices_available():
        try:
            HWAccel(kind).create(av.Codec("h264", "r"))
        except (av.error.FFmpegError, OSError, NotImplementedError):
            continue
        return HWAccel(kind)
    log.warning("no hardware decoder found; decoding in software")
    return None


@contextmanager
def explained(source: str) -> Iterator[None]:
    """Convert errors of FFmpeg or the system about a source that cannot be opened; our own pass unchanged."""
    try:
        yield
    except VidclfError:
        raise
    except FileNotFoundError:
        raise UsageError(f"no such {'camera' if is_camera(source) else 'file'}: {redact(source)}") from None
    except PermissionError:
        raise UsageError(f"no permission to read {redact(source)}") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if is_camera(source) and sys.platform == "darwin" and getattr(error, "errno", None) == errno.EIO:
            why = "no such camera, or this program may not use it (System Settings, Privacy & Security, Camera)"
            raise UsageError(f"cannot open camera {source}: {why}") from None
        kind = UsageError if getattr(error, "errno", None) == errno.ENAMETOOLONG else VidclfError
        raise kind(f"cannot read {redact(source)} as video: {reason(error)}") from None


def open_again(source: Source) -> InputContainer:
    """Open the source of a capture a second time; raises PyAV's errors."""
    assert source.uri is not None
    if not is_url(source.uri):
        return av.open(source.uri)
    return av.open(source.uri, options=source.options, timeout=PATIENCE)


def reason(error: Exception, patience: float | None = None) -> str:
    """FFmpeg's message without its number and file name (which may hold a password).

    patience: the time limit in seconds, to report if it ran out.
    """
    if isinstance(error, av.error.ExitError):  # "Immediate exit requested": the time limit that we set ran out
        return f"no data for {patience or PATIENCE[1]:.0f} s"
    return getattr(error, "strerror", None) or str(error)


def _file(source: str, rate: float | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    path = Path(source)
    can_glob = sys.platform != "win32"  # FFmpeg's builds for Windows cannot
    if path.is_dir():
        pattern = path / ("*.jpg" if can_glob else "%04d.jpg")
        raise UsageError(f"{source} is a folder; name a pattern of pictures ('{pattern}'), or use `vidclf batch`")
    # The file: prefix keeps FFmpeg from interpreting a colon or a % in a file's name.
    if path.exists():
        if path.suffix.lower() in PICTURES:
            return source, {"pattern_type": "none"}, {"format": "image2"}
        return f"file:{source}", {}, {}
    pictures = {"framerate": str(rate or USUAL_RATE)}
    if re.search(r"%0?\d*d", source):
        return source, pictures | {"pattern_type": "sequence", "start_number_range": "100000"}, {"format": "image2"}
    if re.search(r"[*?\[]", source):
        if not glob.glob(source):  # noqa: PTH207 - Path.glob takes no absolute pattern
            raise UsageError(f"no file matches {source}")
        if not can_glob:
            raise UsageError(f"on Windows a pattern of pictures must be numbered, like %04d{path.suffix}, got {source}")
        return source, pictures | {"pattern_type": "glob"}, {"format": "image2"}
    raise UsageError(f"no such file: {source}")


def _device_or_url(source: str, transport: str = "tcp") -> tuple[str, dict[str, str], dict[str, Any]]:
    if is_url(source):
        # RTSP over UDP loses packets, and half-decoded pictures are not pictures.
        options = {"rtsp_transport": transport} if source.lower().startswith("rtsp") else {}
        return source, options, {"timeout": PATIENCE}
    if sys.platform == "darwin":
        return source, {"framerate": "30"}, {"format": "avfoundation"}  # no camera supports its default, 29.97
    if sys.platform == "win32":
        return f"video={_windows_camera(int(source))}", {}, {"format": "dshow"}
    return (f"/dev/video{source}" if source.isdigit() else source), {}, {"format": "v4l2"}


def _windows_camera(number: int) -> str:
    """The name of a camera: DirectShow does not know numbers."""
    names = [device.name for device in av.enumerate_input_devices("dshow") if "video" in device.media_types]
    if number >= len(names):
        raise FileNotFoundError(errno.ENOENT, "no such camera")
    return names[number]
