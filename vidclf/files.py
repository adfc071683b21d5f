"""Files that get their final names only when they are complete, and hashes of their content."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from time import sleep
from types import TracebackType

from vidclf.errors import UsageError, VidclfError
from vidclf.lock import NameLock

PIECE = 1 << 20  # bytes of a file that are read at once
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: FAT32 allows no file of 4 GB, even if there is space
# What may be over in a moment, such as a network folder whose server restarts.
PASSING = {errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EBUSY}
PASSING |= {errno.ENOTCONN, errno.ECONNRESET, errno.ENETUNREACH, errno.EHOSTUNREACH}
PASSING |= {getattr(errno, name, errno.EIO) for name in ("ESTALE", "EHOSTDOWN")}
# Seconds between attempts to rename a file: on Windows that fails while another program has it open, such as a virus
# scanner, for moments, or a player.
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if sys.platform == "win32" else ()


class NoSpaceError(VidclfError):
    """There is no space left for a file."""


class InUseError(VidclfError):
    """A complete file could not be renamed, as another program has it open: on Windows, a player."""


def no_space(error: BaseException) -> bool:
    """Whether an error says that there is no space left."""
    return isinstance(error, NoSpaceError) or getattr(error, "errno", None) in NO_SPACE


def not_now(error: OSError) -> type[VidclfError]:
    """The kind of error for a place that cannot be written: VidclfError if that may be over in a moment.

    Else UsageError. The difference is the exit code, by which a service manager knows whether to try again.
    """
    return VidclfError if no_space(error) or error.errno in PASSING else UsageError


class PartFile:
    """`with PartFile(path) as part:` write to `part`; leaving the block without an error renames it to `path`.

    The part is in the same folder, so that the rename is one step: `path` is complete, or as it was before.
    After an error the part stays where it is, so that its content can be saved. A stage that is closed early
    (GeneratorExit: no more frames are wanted) did not fail, so its file gets its final name.
    keep_suffix: call the part NAME.part.SUFFIX, for writers that choose the format by the suffix.
    Inside the block the file's name is locked, so that only one of two runs writes it; see `lock.py`.
    Raises UsageError, before anything is written, if `path` is something other than a file (a device or a pipe would be
    replaced, not written to), if it exists and `force` is not set, if another run is writing it, or if its folder
    cannot be written to; VidclfError for an OSError inside the block (NoSpaceError: the disk is full), if another
    program has the file open and it cannot be renamed (InUseError), and if a file of that name appeared meanwhile and
    `force` is not set.
    """

    def __init__(self, path: str | Path, force: bool = False, keep_suffix: bool = False):
        self.path, self._force = Path(path), force
        self.is_complete = False  # the file was written, and has its name
        try:
            there = self.path.exists()
            if there and not self.path.is_file():
                what = "a folder; name a file in it" if self.path.is_dir() else "not an ordinary file"
                raise UsageError(f"{self.path} is {what}")
            self.part, self._lock = part_of(self.path, keep_suffix), NameLock(self.path)
            if there and not force:
                raise self._exists()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._acquire()
            try:
                left_over = self.part.exists()
                self.part.open("ab").close()  # try it: missing permissions are not the only reason for failure
                if not left_over:
                    remove(self.part)
            finally:
                self._lock.release()
        except OSError as error:
            if no_space(error):
                raise self._failed(error) from None
            raise not_now(error)(f"cannot write {self.path}: {error.strerror}") from None

    def __enter__(self) -> Path:
        self._acquire()
        if self._appeared():
            self._lock.release()
            raise self._exists()
        return self.part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if isinstance(error, OSError):
                raise self._failed(error) from None
            if (kind is None or issubclass(kind, GeneratorExit)) and self.part.exists():
                self._complete()
        except OSError as failure:
            raise self._failed(failure) from None
        finally:
            self._lock.release()

    def _complete(self) -> None:
        try:
            # The content must reach the disk before the rename does.
            with self.part.open("rb+") as file:
                os.fsync(file.fileno())
            if self._appeared():
                raise VidclfError(f"{self.path} was created by another program meanwhile; the output is in {self.part}")
            rename(self.part, self.path)
        except PermissionError as error:
            where = f"the output is complete in {self.part}; if another program has one of the two open, close it"
            raise InUseError(f"cannot write {self.path}: {error.strerror}; {where}") from None
        self.is_complete = True

    def _acquire(self) -> None:
        if not self._lock.acquire():
            raise UsageError(f"{self.path} is being written by another run")

    def _appeared(self) -> bool:
        """Whether another program has created a file of this name, which must not be replaced."""
        return not self._force and self.path.exists()

    def _exists(self) -> UsageError:
        return UsageError(f"{self.path} exists; --force (force: true) overwrites it")

    def _failed(self, error: OSError) -> VidclfError:
        kind = NoSpaceError if no_space(error) else VidclfError
        return kind(f"cannot write {self.path}: {error.strerror or error}")


@dataclass(slots=True)
class Made:
    """The files that a stage has completed in a run."""

    files: int = 0
    seconds: float = 0.0  # of video
    latest: Path | None = None

    def add(self, path: Path, seconds: float = 0.0) -> None:
        self.files, self.seconds, self.latest = self.files + 1, self.seconds + seconds, path


def part_of(path: Path, keep_suffix: bool = False) -> Path:
    """The name of a file while `PartFile` writes it."""
    return path.with_name(f"{path.stem}.part{path.suffix}" if keep_suffix else f"{path.name}.part")


def discard_part(path: Path) -> None:
    """Remove the leftover parts of a file, unless another run is writing it."""
    left = [part_of(path, keep_suffix) for keep_suffix in (False, True)]
    lock = NameLock(path)
    if any(file.exists() for file in (*left, lock.file)) and lock.acquire():
        for part in left:
            if not part.is_dir():  # somebody's folder
                with suppress(PermissionError):  # on Windows, a player has it open
                    part.unlink(missing_ok=True)
        lock.release()


def rename(old: Path, new: Path) -> None:
    """Rename a file, which replaces another one, or a folder, which does not; OSError if that is not possible."""
    for pause in PAUSES:
        try:
            old.replace(new)
            return
        except PermissionError:
            if new.is_dir():
                raise
            sleep(pause)
    old.replace(new)


def remove(path: Path) -> None:
    """Delete a file, if it is there; on Windows another program may have it open for a moment."""
    for pause in PAUSES:
        try:
            path.unlink(missing_ok=True)
            return
        except PermissionError:
            sleep(pause)
    path.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Create a folder unless it exists; UsageError if files cannot be written to it, or see `not_now`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise not_now(error)(f"cannot write to {folder}: {error.strerror or error}") from None


def hash_file(path: Path, tell: Callable[[], object] = lambda: None) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; OSError if it cannot be read.

    tell: called after every piece, since a large file takes long.
    """
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            tell()
    return digest.hexdigest()
