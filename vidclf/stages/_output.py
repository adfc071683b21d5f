"""The file that a recording is written to now, if any: it ends when it is complete, and when the disk is full."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Generic, TypeVar

from vidclf.files import InUseError, NoSpaceError, PartFile, no_space
from vidclf.stages._pause import Pause
from vidclf.video.naming import unstamped

log = logging.getLogger(__name__)

File = TypeVar("File")


class Output(Generic[File]):
    """One file after another, at most one of them open, and the pause while there is no space for the next.

    what: is written to `folder`. can_wait: otherwise a full disk is an error like any other.
    """

    def __init__(self, what: str, folder: Path, can_wait: bool):
        self.file: File | None = None
        self.pause = Pause(what, folder)
        self._can_wait = can_wait
        self._stack = ExitStack()

    def open(self, file: AbstractContextManager[File]) -> File:
        """Begin a file; the one before has ended."""
        self.file = self._stack.enter_context(file)
        return self.file

    def end(self, error: BaseException | None = None) -> None:
        """End the file, if one is open, as a `with` statement does after this error, or after none."""
        self.file = None
        self._stack.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)

    def pauses(self, error: BaseException, now: float | Fraction = 0) -> bool:
        """Whether an error says that there is no space, and that can wait; if so, end the file, and pause."""
        if not self._can_wait or not no_space(error):
            return False
        with suppress(NoSpaceError):  # that of this file, again
            self.end(error)
        self.pause.begins(now)
        return True

    def close(self, error: BaseException | None = None) -> None:
        """End the last file, and the pause; a full disk that can wait is no error."""
        try:
            self.end(error)
        except NoSpaceError as failure:
            if not self.pauses(failure):
                raise
        finally:
            self.pause.ends()


@contextmanager
def ends_when_full(whole: PartFile, is_readable: Callable[[Path], bool], can_wait: bool) -> Iterator[Path]:
    """Enter a file; if the disk gets full, what there is gets its final name, or is deleted if it is not readable.

    If another program has the file open so that it cannot be renamed, it stays a part, which a later run names; if it
    has no date in its name, no run would, and that is an error. can_wait: otherwise both are errors like any other.
    Raises NoSpaceError for a full disk in both cases.
    """
    full: OSError | None = None
    try:
        with whole as part:
            try:
                yield part
            except OSError as error:
                if not can_wait or not no_space(error):
                    raise
                full = error
                if not is_readable(part):
                    part.unlink(missing_ok=True)
    except InUseError as error:
        if not can_wait or whole.path == unstamped(whole.path):
            raise
        log.warning("%s", error)
    if full:  # the file has its name nevertheless: it can be used up to here, and deleted when it is old
        raise NoSpaceError(f"cannot write {whole.path}: {full.strerror}")
