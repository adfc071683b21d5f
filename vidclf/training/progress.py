"""The visible progress of a training run: lines that stay, and on a terminal one that is overwritten."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Prints lines to stderr; `live` prints at most twice a second, and only on a terminal.

    quiet: print only warnings.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self.stream: TextIO | None = stream or sys.stderr  # None: it is closed, and Python has none
        self.quiet = quiet
        self._live_at = 0.0
        self._width = 0  # of the current live line

    def line(self, text: str) -> None:
        """Print a line that stays."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print a line that stays, even if the others are not wanted."""
        if self.stream is not None:
            print(self._over(text), file=self.stream, flush=True)
            self._width = 0

    def live(self, text: str) -> None:
        """Print a line that the next one overwrites."""
        now = time.monotonic()
        if self.quiet or self.stream is None or now - self._live_at < 0.5 or not self.stream.isatty():
            return
        self.stream.write(self._over(text))
        self.stream.flush()
        self._live_at, self._width = now, len(text)

    def _over(self, text: str) -> str:
        return f"\r{text.ljust(self._width)}" if self._width else text


def duration(seconds: float) -> str:
    """Seconds as readable text: 42 s, 12 min 05 s, 1 h 02 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
