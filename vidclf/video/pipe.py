"""Reads a pipe (a FIFO, stdin) so that whoever waits for its data, or for its first writer, can be stopped."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress

BLINK = 100  # milliseconds within which a waiting reader notices that it should stop


class Pipe:
    """A file object for PyAV; it seems to end when `stopping()` is true."""

    def __init__(self, path: str, stopping: Callable[[], bool]):
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without it, opening would wait for a writer
        self._stopping = stopping
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def read(self, size: int) -> bytes:
        """Wait for data; returns up to `size` bytes, none at the end."""
        while not self._stopping():
            if self._poll.poll(BLINK):
                with suppress(BlockingIOError):  # another reader was faster
                    return os.read(self._file, size)
        return b""

    def close(self) -> None:
        os.close(self._file)
