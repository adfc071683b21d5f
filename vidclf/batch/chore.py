"""What a batch does now and then, and no clip needs: the table of all results, a copy of the books."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from vidclf.errors import describe

log = logging.getLogger(__name__)

PAUSES = 20  # times as long as it took, until what costs more with every clip may be done again


class Chore:
    """Something that is done when its turn comes, if it is due by then; where it fails, that is told, and ends nothing.

    every: seconds, at least, between two times.
    """

    def __init__(self, do: Callable[[], object], every: float = 0.0):
        self.due = False
        self._do, self._every, self._next = do, every, 0.0

    def turn(self) -> None:
        """Do it if it is due, and the time before is long enough ago."""
        began = monotonic()
        if not self.due or began < self._next:
            return
        self.due = False
        try:
            self._do()
        except Exception as error:  # what a bucket's client raises is of many kinds
            log.warning("%s", describe(error))
        ended = monotonic()
        self._next = ended + max(self._every, PAUSES * (ended - began))
