"""Opens whatever a user may name as a source: a file, a URL, a camera, a pattern of pictures."""

from __future__ import annotations

import glob
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import av
import av.error
from av.container import InputContainer

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Source

LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtp", "udp", "srt"}
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
PATIENCE = (10.0, 10.0)  # seconds that a network source may say nothing: while it is opened, and later


def is_camera(source: str) -> bool:
    """A camera's number, or a Linux video device."""
    return source.isdigit() or source.startswith("/dev/video")


def is_url(source: str) -> bool:
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE))


def is_live(source: str) -> bool:
    """Frames of it arrive by the clock and have no end."""
    return is_camera(source) or (is_url(source) and urlsplit(source).scheme.lower() in LIVE_SCHEMES)


def redact(source: str) -> str:
    """The source without its password: what may appear in logs, records and errors."""
    if not is_url(source):
        return source
    parts = urlsplit(source)
    if parts.password is None:
        return source
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def open_source(source: str, rate: float | None = None) -> InputContainer:
    """Open a source for reading.

    rate: pictures a second, for a pattern of pictures (25 by default).
    Raises UsageError when there is no such thing, VidclfError when FFmpeg cannot read it.
    """
    name, options = source, {}
    arguments: dict[str, Any] = {}
    if is_camera(source):
        name, arguments = _camera(source)
    elif is_url(source):
        arguments["timeout"] = PATIENCE
        if source.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # UDP loses packets, and half-decoded pictures are not pictures
    else:
        name, options, arguments = _file(source, rate)
    try:
        return av.open(name, mode="r", options=options, **arguments)
    except FileNotFoundError:
        raise UsageError(f"no such {'camera' if is_camera(source) else 'file'}: {redact(source)}") from None
    except PermissionError:
        raise UsageError(f"no permission to read {redact(source)}") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VidclfError(f"cannot read {redact(source)} as video: {reason(error)}") from None


def open_again(source: Source) -> InputContainer:
    """Open what a capture is reading a second time; raises PyAV's errors."""
    assert source.uri is not None
    return av.open(source.uri, timeout=PATIENCE if is_url(source.uri) else None)


def reason(error: Exception) -> str:
    """What FFmpeg said, without its number and file name (which may hold a password)."""
    if isinstance(error, av.error.ExitError):  # its "Immediate exit requested" comes of the time limit we set
        return f"it said nothing for {PATIENCE[1]:.0f} s"
    return getattr(error, "strerror", None) or str(error)


def _file(source: str, rate: float | None) -> tuple[str, dict[str, str], dict[str, Any]]:
    path = Path(source)
    if path.is_dir():
        raise UsageError(
            f"{source} is a folder; name a pattern of pictures ('{path / '*.jpg'}'), or use `vidclf batch`"
        )
    # The file: prefix keeps FFmpeg from taking a colon or a % in a file's name for something else.
    if path.exists():
        if path.suffix.lower() in PICTURES:
            return source, {"pattern_type": "none"}, {"format": "image2"}
        return f"file:{source}", {}, {}
    pictures = {"framerate": str(rate or 25)}
    if re.search(r"%0?\d*d", source):
        return source, pictures | {"pattern_type": "sequence", "start_number_range": "100000"}, {"format": "image2"}
    if re.search(r"[*?\[]", source):
        if not glob.glob(source):  # noqa: PTH207 - Path.glob takes no absolute pattern
            raise UsageError(f"no file matches {source}")
        return source, pictures | {"pattern_type": "glob"}, {"format": "image2"}
    raise UsageError(f"no such file: {source}")


def _camera(source: str) -> tuple[str, dict[str, Any]]:
    if sys.platform == "darwin":
        return source, {"format": "avfoundation"}
    if sys.platform == "win32":
        return f"video={source}", {"format": "dshow"}
    return (f"/dev/video{source}" if source.isdigit() else source), {"format": "v4l2"}
