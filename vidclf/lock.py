"""Locks on file names: who writes a file, or reads a spool, holds the lock of its name, which ends with the process."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
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

PAUSE = 0.1  # seconds between two attempts
WORTH_TELLING = 30  # attempts, after which the user hears of them
# The codes for a lock held by another; EBADF: for one that a network folder gives only to who may write its file.
HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK, errno.EBADF}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENAMETOOLONG}
# No file can be made in the folder: whoever writes there will fail, too, and can say what it was to write.
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT}


class NameLock:
    """The lock of one file's name, between processes and also between two users in this process.

    It is a separate file, `.NAME.lock`, and not the file itself: a lock on Windows, or on a network folder there,
    keeps every other handle from writing. It is removed on release; a killed process leaves it behind, unlocked.
    """

    def __init__(self, path: Path):
        self.file = path.with_name(f".{path.name}.lock")
        self._held: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; False if another user holds it.

        True, without a lock, if locks are not supported, as in some network folders, or if the folder cannot be
        written. OSError if it is unknown whether another holds it, as with too many open files.
        """
        while self._held is None:
            try:
                file, is_new = self._open()
            except PermissionError as error:
                return not self.file.exists() and self._do_without(error)
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
                if error.errno in HELD:
                    return False
                if is_new:  # one that was there may be another's
                    self.file.unlink(missing_ok=True)
                return self._do_without(error)
            file.close()  # the last owner removed this file before we could lock it: try again with the current one
        return True

    def _open(self) -> tuple[IO[bytes], bool]:
        """The file, and whether it is new."""
        with suppress(FileExistsError):
            return self.file.open("xb"), True
        try:
            return self.file.open("ab"), False
        except PermissionError:  # that of a run of another user's, which may have been killed
            return self.file.open("rb"), False

    def _do_without(self, error: OSError) -> bool:
        if error.errno not in NO_LOCKS | UNWRITABLE:
            raise error
        log.debug("no lock for %s: %s", self.file, error.strerror)
        return True

    def release(self) -> None:
        """Release the lock, if it was taken."""
        if self._held is None:
            return
        # Remove it while it is locked, so that no new owner's file is removed; Windows cannot remove an open file, not
        # even one that another process has opened.
        if sys.platform == "win32":
            self._held.close()
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
        self._held.close()
        self._held = None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file's name in the block, such as to make the file; waits while another user holds it."""
    lock = NameLock(path)
    attempts = 0
    while not lock.acquire():
        sleep(PAUSE)
        attempts += 1
        if attempts == WORTH_TELLING:
            log.warning("waiting for another process, which makes %s; if there is none, delete %s", path, lock.file)
    try:
        yield
    finally:
        lock.release()
