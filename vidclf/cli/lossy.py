"""Messages that cannot be written, because the disk is full or their reader has gone, do not end a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Lossy:
    """A text stream that loses what it cannot write."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def lossy_stderr() -> Iterator[None]:
    """Make stderr `Lossy` in the block."""
    before = sys.stderr
    if before:  # pythonw has none
        sys.stderr = Lossy(before)
    try:
        yield
    finally:
        sys.stderr = before


def flush(stream: TextIO | None) -> bool:
    """Flush a stream at the end of the program; if that fails, discard the rest of it, and return False.

    Otherwise Python would try again at exit, print its own messages, and exit with 120.
    """
    if stream is None:
        return True
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
