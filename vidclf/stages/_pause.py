"""What is written of live sources pauses while the disk is full, so that the run goes on."""

from __future__ import annotations

import logging
from fractions import Fraction
from math import inf
from pathlib import Path

log = logging.getLogger(__name__)

RETRY = 10  # seconds until it is tried again


class Pause:
    """When to write again, in seconds of any clock; one warning for as long as the disk is full.

    what: is written to `folder`.
    """

    def __init__(self, what: str, folder: Path):
        self._what, self._folder = what, folder
        self._until: float | Fraction = -inf
        self._since: float | Fraction | None = None  # when the first file after the latest failure began
        self.reason = ""  # why nothing is written now, in words; other threads read it

    def holds(self, now: float | Fraction) -> bool:
        """Whether it is too early to write again."""
        return now < self._until

    def begins(self, now: float | Fraction = 0) -> None:
        """There is no space: wait, and warn, unless that was said and has not changed since."""
        self._until, self._since = now + RETRY, None
        if not self.reason:
            self.reason = f"{self._folder}: no space left; recording of {self._what} pauses until there is"
            log.warning("%s", self.reason)

    def wrote(self, began: float | Fraction, now: float | Fraction) -> None:
        """Something was written to a file that began some time ago; whether there is space shows after a while only."""
        if not self.reason:
            return
        self._since = began if self._since is None else self._since  # the file may be followed by another meanwhile
        if now > self._since + RETRY:
            log.info("recording of %s goes on", self._what)
            self.reason = ""

    def ends(self) -> None:
        """Forget the reason: the run is over, and nothing waits for space any more."""
        self.reason = ""
