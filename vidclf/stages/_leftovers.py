"""Saves what killed live runs left: readable parts get their final names; one that is in the way, another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from time import time

from vidclf.files import rename
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
                rename(part, whole)
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


def put_aside(part: Path) -> None:
    """Rename the part that an unfinished run of a live source left, if any: it cannot be recorded again.

    OSError if it cannot be renamed.
    """
    if not part.exists() or not part.stat().st_size:
        return
    number = 1
    while (kept := part.with_name(f"{part.name}-{number}")).exists():
        number += 1
    rename(part, kept)
    log.warning("%s was left by an unfinished run; it is kept as %s", part, kept.name)
