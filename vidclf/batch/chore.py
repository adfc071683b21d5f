"""Tasks that a batch does from time to time: writing the table of all results, saving a copy of the manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from vidclf.errors import describe

log = logging.getLogger(__name__)

RETRY = 30.0  # seconds after a failure until the next attempt
PAUSES = 20  # wait at least this many times its own duration, because its cost grows with every clip


class Chore:
    """A task that runs on its turn if it is due; a failure is logged, and does not end the batch: it is tried again.

    every: minimum seconds between two runs.
    """

    def __init__(self, do: Callable[[], object], every: float = 0.0):
        self.due = False
        self._do, self._every, self._next = do, every, 0.0
        self._told = ""  # the latest failure

    def turn(self) -> None:
        """Run the task if it is due and the last run is long enough ago."""
        began = monotonic()
        if not self.due or began < self._next:
            return
        pause = self._every
        try:
            self._do()
            self.due, self._told = False, ""
        except Exception as error:  # clients of buckets raise many kinds of errors
            pause = max(pause, RETRY)
            if (why := describe(error)) != self._told:
                log.warning("%s", why)
                self._told = why
        ended = monotonic()
        self._next = ended + max(pause, PAUSES * (ended - began))
