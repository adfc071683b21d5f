"""What a name means: a file, a camera or a URL, live or not; and how it is shown without passwords."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from vidclf.errors import UsageError

LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srtp", "udp", "srt", "tcp"}
# Over HTTP a name with one of these is a recording; for any other, opening it will tell.
RECORDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".gif"}
HOST = re.compile(r"(.*@)?([^@:]*|\[[0-9a-f:.%]+\])(:\d*)?", re.IGNORECASE)
# Secrets are called loginpas, psw, passw, p, access_token, X-Amz-Signature, ...; some are in the path.
NAME = r"((?:[^?&;/#=]*(?:pas|psw|pwd|secret|token|key|auth|sig|cred)[^?&;/#=]*|(?<![^?&;/#])pw?)=)"
SECRET_IN_PATH = re.compile(NAME + "[^&;/#]+", re.IGNORECASE)
SECRET_IN_QUERY = re.compile(NAME + "[^&;#]+", re.IGNORECASE)  # where a / may be part of it
HIDDEN = r"\1***"


def is_camera(source: str) -> bool:
    """Whether it is a camera's number, or a Linux video device."""
    return source.isdigit() or source.startswith("/dev/video")


def is_url(source: str) -> bool:
    """Whether it is a URL, of any scheme."""
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE))


def is_live(source: str) -> bool:
    """Whether its frames arrive in real time and have no end; over HTTP, `is_recording` tells once it is open."""
    if is_camera(source):
        return True
    if not is_url(source):
        return False
    parts = urlsplit(source)
    scheme = parts.scheme.lower()
    return scheme in LIVE_SCHEMES or (scheme in ("http", "https") and Path(parts.path).suffix.lower() not in RECORDINGS)


def is_hls(source: str) -> bool:
    """Whether it is the playlist of an HLS stream, by its suffix."""
    return urlsplit(source).path.lower().endswith(".m3u8")


def refuse_url(output: str) -> None:
    """Raise UsageError for an output that is a URL: as a path it would be a folder called `s3:`."""
    if is_url(output):
        raise UsageError(f"cannot write to the URL {redact(output)}; name a file or a folder (vidclf batch takes URLs)")


def redact(source: str) -> str:
    """The source without passwords, for logs, records and errors."""
    if not is_url(source):
        return source
    scheme, _, rest = source.partition("://")
    host, slash, path = rest.partition("/")
    if not HOST.fullmatch(re.split(r"[?#]", host)[0]) and "@" in rest:  # the password has a / ? or # in it
        user, _, rest = rest.rpartition("@")
        host, slash, path = rest.partition("/")
        host = f"{user}@{host}"
    user, at, host = host.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:***"
    begin, mark, query = f"{scheme}://{user}{at}{host}{slash}{path}".partition("?")
    return f"{SECRET_IN_PATH.sub(HIDDEN, begin)}{mark}{SECRET_IN_QUERY.sub(HIDDEN, query)}"


def readable(name: str) -> str:
    """A source's name as valid text for tables and files: file names are bytes, and may not be UTF-8."""
    return os.fsencode(name).decode(errors="replace")
