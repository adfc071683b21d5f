"""Recovers what killed live runs left: readable parts get their final names; also checks what a file holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from time import time

from vidclf.files import PIECE
from vidclf.lock import NameLock
from vidclf.video.naming import BUSY, parts

log = logging.getLogger(__name__)


def name_leftovers(path: Path, is_readable: Callable[[Path], bool]) -> None:
    """Give the parts of a live source's recordings their final names, unless they are still being written; log it.

    path: their path without the time. is_readable: may repair a part; parts that it rejects stay as they are. Empty
    parts are removed.
    """
    named, left = [], []
    for part, whole in parts(path):
        lock = NameLock(whole)
        was_locked = lock.file.exists()
        try:
            # A part without a lock may belong to a run in a folder without locks, or of a version without them.
            if not lock.acquire() or not (was_locked or time() - part.stat().st_mtime > BUSY) or whole.exists():
                continue
            if not part.stat().st_size:
                part.unlink()
            elif is_readable(part):
                part.rename(whole)
                named.append(whole.name)
            else:
                left.append(part.name)
        except OSError as error:  # must not stop this run
            log.warning("%s was left by an unfinished run: %s", part, error.strerror or error)
        finally:
            lock.release()
    if named:
        log.info("%s: recovered from an unfinished run: %s", path.parent, ", ".join(named))
    if left:
        log.warning("%s: left by an unfinished run, and cannot be read: %s", path.parent, ", ".join(left))


def plays(path: Path) -> bool:
    """Whether a video file holds a picture that can be decoded."""
    import av
    import av.error

    try:
        with av.open(f"file:{path}") as container:
            for packet in container.demux(video=0):
                try:
                    if packet.decode():
                        return True
                except av.error.FFmpegError:
                    continue  # the last one may be cut off
    except (av.error.FFmpegError, OSError, IndexError):  # IndexError: there is no video
        pass
    return False


def holds_nothing(_: Path) -> bool:
    """A Parquet file that was not closed."""
    return False


def holds_lines(path: Path) -> bool:
    """Whether a text file holds a complete line; truncates it after the last one."""
    with path.open("rb+") as file:
        end = size = file.seek(0, 2)
        while end:
            begin = max(0, end - PIECE)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                if begin + found + 1 < size:
                    file.truncate(begin + found + 1)
                return True
            end = begin
    return False
