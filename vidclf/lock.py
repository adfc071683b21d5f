"""Locks on names of files: whoever writes a file holds the lock of its name, which dies with the process."""

from __future__ import annotations

import errno
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


log = logging.getLogger(__name__)

HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}  # what systems call a lock of somebody else's


class NameLock:
    """The lock of one file's name, for all processes and also for two users of it in this one.

    It is a file beside that one, `.NAME.lock`, and not the file itself: a lock of Windows, or of a network folder
    there, keeps every other handle from writing. It is removed with the lock; a killed process leaves it, unlocked.
    """

    def __init__(self, path: Path):
        self.file = path.with_name(f".{path.name}.lock")
        self._held: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; False where somebody else has it.

        True, without a lock, where there are none: some network folders know no locks.
        """
        while self._held is None:
            try:
                file = self.file.open("ab")
            except OSError as error:
                return self._do_without(error)
            try:
                _lock(file)
                if os.path.samestat(os.fstat(file.fileno()), self.file.stat()):
                    self._held = file
                    return True
            except FileNotFoundError:
                pass
            except OSError as error:
                file.close()
                return error.errno not in HELD and self._do_without(error)
            file.close()  # whoever had the lock removed its file before it could be locked here: it is another's now
        return True

    def _do_without(self, error: OSError) -> bool:
        log.debug("no lock for %s: %s", self.file, error.strerror)
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
        return True

    def release(self) -> None:
        """Give the lock back, if it was taken."""
        if self._held is None:
            return
        # Removed while it is locked, so that nobody's new file is; Windows removes no open file, nor one that
        # somebody else has opened.
        if sys.platform == "win32":
            self._held.close()
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
        self._held.close()
        self._held = None
