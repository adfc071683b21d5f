"""What live runs left that were killed: it gets its name where it can be read; and what a file of a full disk holds."""

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
    """Give the parts of a live source's recordings their names, unless they are still being written; log what was done.

    path: as they would be called without a time. is_readable: may repair a part; those that it refuses stay as they
    are. Empty parts are removed.
    """
    named, left = [], []
    for part, whole in parts(path):
        lock = NameLock(whole)
        was_locked = lock.file.exists()
        try:
            # A part without a lock may be that of a run in a folder without locks, or of a version without them.
            if not lock.acquire() or not (was_locked or time() - part.stat().st_mtime > BUSY) or whole.exists():
                continue
            if not part.stat().st_size:
                part.unlink()
            elif is_readable(part):
                part.rename(whole)
                named.append(whole.name)
            else:
                left.append(part.name)
        except OSError as error:  # no reason not to run
            log.warning("%s was left by a run that did not end: %s", part, error.strerror or error)
        finally:
            lock.release()
    if named:
        log.info("%s: left by a run that did not end, and complete now: %s", path.parent, ", ".join(named))
    if left:
        log.warning("%s: left by a run that did not end, and cannot be read: %s", path.parent, ", ".join(left))


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


def holds_lines(path: Path) -> bool:
    """Whether a text file holds a whole line; what follows the last one is cut off."""
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
