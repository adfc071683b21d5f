"""What is written of live sources pauses while the disk is full, so that the run goes on."""

from __future__ import annotations

import logging
from fractions import Fraction
from math import inf
from pathlib import Path

log = logging.getLogger(__name__)

RETRY = 10  # seconds until it is tried again


class Pause:
    """When to write again, in seconds of any clock; one warning for as long as the disk is full."""

    def __init__(self, what: str):
        self._what = what
        self._until: float | Fraction = -inf
        self._has_warned = False

    def holds(self, now: float | Fraction) -> bool:
        return now < self._until

    def begin(self, folder: Path, now: float | Fraction) -> None:
        """There is no space left in a folder."""
        self._until = now + RETRY
        if not self._has_warned:
            log.warning("%s: no space left; recording of %s pauses until there is", folder, self._what)
        self._has_warned = True

    def wrote(self, began: float | Fraction, now: float | Fraction) -> None:
        """Something was written to a file that began some time ago; whether there is space shows after a while only."""
        if self._has_warned and now > began + RETRY:
            log.info("recording of %s goes on", self._what)
            self._has_warned = False
