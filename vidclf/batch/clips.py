"""Finds the clips below a folder, in a given order, and why others cannot be read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal, get_args

from vidclf.errors import UsageError
from vidclf.limits import check_choice

# Formats of cameras, phones, recorders and editors. .m4a is MPEG-4, too, so it may contain video.
SUFFIXES = {
    *("mp4", "m4v", "m4a", "mov", "qt", "mkv", "webm", "avi", "ts", "mts", "m2ts", "mpg", "mpeg", "m2v", "vob", "wmv"),
    *("asf", "flv", "f4v", "3gp", "3g2", "ogv", "mxf", "gif", "dv", "mjpeg", "mjpg", "y4m", "h264", "264", "h265"),
    *("265", "hevc", "ivf", "nut", "rm", "divx"),
}
Order = Literal["name", "size", "largest"]
RESULTS = "manifest.sqlite"  # what a folder of a batch's results has
APPLE_DOUBLE = "._"  # files that macOS adds on other file systems: not clips, whatever their suffix


@dataclass(frozen=True, slots=True)
class Clip:
    """A file to process."""

    path: str  # below the folder, with / between its parts: its name everywhere
    size: int  # bytes
    mtime_ns: int


@dataclass(slots=True)
class Found:
    """What was found below a folder."""

    clips: list[Clip] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)  # clips or folders that cannot be read, and why


def find_clips(
    folder: Path,
    suffixes: Iterable[str] = SUFFIXES,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    order: Order = "name",
    skip: Path | None = None,
) -> Found:
    """All clips below `folder`; symbolic links are followed, each folder is entered once.

    Hidden folders, such as .Trash, and those with the results of a batch are left out.
    suffixes: without dots, in any case. include, exclude: patterns for the path below the folder, or for the name
    alone; `*` is any text, including /. skip: a folder below that is not searched (the outputs').
    Raises UsageError if the folder does not exist or cannot be read.
    """
    check_choice("order", order, get_args(Order))
    must_exist(folder)
    found = Found()
    wanted = {suffix.lower().removeprefix(".") for suffix in suffixes}
    for path, entry in _walk(folder, skip.resolve() if skip else None, found.problems):
        name = path.rpartition("/")[2]
        if "." not in name or name.rpartition(".")[2].lower() not in wanted or name.startswith(APPLE_DOUBLE):
            continue
        if (include and not _matches(path, include)) or _matches(path, exclude):
            continue
        if problem := _add(found.clips, path, entry):
            found.problems[printable(path)] = problem
    if "" in found.problems:
        raise UsageError(f"cannot read the folder {folder}: {found.problems['']}")
    found.clips.sort(key=lambda clip: clip.path)
    if order != "name":
        found.clips.sort(key=lambda clip: clip.size, reverse=order == "largest")
    return found


def must_exist(folder: Path) -> None:
    """Raise UsageError if there is no such folder of clips."""
    if not folder.is_dir():
        what = "is a file; `vidclf run` takes files" if folder.exists() else "does not exist"
        raise UsageError(f"the folder {folder} {what}")


def printable(path: str) -> str:
    """A path, or text with one, as it can be shown and stored: bytes that are not UTF-8 become \\xNN."""
    try:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, as names on Windows may have
        return path.encode("utf-8", "backslashreplace").decode()


def mtime_of(about: os.stat_result) -> int:
    """A file's modification time in nanoseconds, within what the manifest holds: a camera's clock may be far off."""
    return max(-(1 << 63), min(about.st_mtime_ns, (1 << 63) - 1))


def _add(clips: list[Clip], path: str, entry: os.DirEntry[str]) -> str | None:
    """Add a file as a clip; otherwise return the reason."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    try:
        # On Windows, `entry.stat()` is as of when the file was last closed, so that a growing one looks complete.
        about = os.stat(entry.path) if sys.platform == "win32" else entry.stat()  # noqa: PTH116 - as in `_walk`
    except FileNotFoundError:
        return "a broken symbolic link"
    except OSError as error:
        return _reason(error)
    if not stat.S_ISREG(about.st_mode):
        return "not a file, but a device or pipe"
    clips.append(Clip(path, about.st_size, mtime_of(about)))
    return None


def _walk(folder: Path, skip: Path | None, problems: dict[str, str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(path below the folder, entry) of everything except folders. Links to folders come last, so that files that can
    be reached both ways get their own path. A folder is entered only once, so loops end."""
    entered: set[tuple[int, int]] = set()
    folders, links = [("", str(folder))], list[tuple[str, str]]()
    while folders or links:
        below, place = folders.pop() if folders else links.pop()
        try:
            about = os.stat(place)  # noqa: PTH116 - a name may not be valid text
            if (about.st_dev, about.st_ino) in entered or (skip and Path(place).resolve() == skip):
                continue
            entered.add((about.st_dev, about.st_ino))
            with os.scandir(place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            problems[printable(below)] = _reason(error)
            continue
        if below and any(entry.name == RESULTS for entry in listed):
            continue
        for entry in listed:
            path = f"{below}/{entry.name}" if below else entry.name
            if _is_folder(entry):
                if entry.name.startswith("."):
                    continue
                (links if entry.is_symlink() else folders).append((path, entry.path))
            else:
                yield path, entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern) for pattern in patterns)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
