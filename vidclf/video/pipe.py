"""Reads a pipe (a FIFO, stdin) so that whoever waits for its data, or for its first writer, can be stopped."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from time import sleep

IS_MAC = sys.platform == "darwin"
BLINK = 100  # milliseconds within which a waiting reader notices that it should stop


class Pipe:
    """A file object for PyAV; it seems to end when `stopping()` is true."""

    def __init__(self, path: str, stopping: Callable[[], bool]):
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without it, opening would wait for a writer
        self._stopping = stopping
        self._begun = False
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def read(self, size: int) -> bytes:
        """Wait for data; returns up to `size` bytes, none at the end."""
        while not self._stopping():
            if self._is_ready():
                with suppress(BlockingIOError):  # another reader was faster
                    data = os.read(self._file, size)
                    if data or self._begun or not IS_MAC:
                        self._begun = True
                        return data
                    sleep(BLINK / 1000)  # on a Mac, a pipe without a first writer looks like one at its end
        return b""

    def _is_ready(self) -> bool:
        """Whether there is data, or the last writer has gone, which only `select` notices on a Mac."""
        if IS_MAC:
            return bool(select.select([self._file], [], [], BLINK / 1000)[0])
        return bool(self._poll.poll(BLINK))

    def close(self) -> None:
        os.close(self._file)
