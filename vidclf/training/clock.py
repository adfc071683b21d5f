"""How far a run has come, by its steps or by the clock."""

from __future__ import annotations

import time


class Clock:
    """The time of a run, over all its interruptions.

    steps: of the whole run. limit: seconds that the whole run may take, None for no limit. spent: seconds before this
    start.
    """

    def __init__(self, steps: int, limit: float | None, spent: float) -> None:
        self._steps = steps
        self._limit = limit
        self._begin = time.monotonic() - spent

    @property
    def seconds(self) -> float:
        """What the run has taken until now."""
        return time.monotonic() - self._begin

    def share(self, step: int) -> float:
        """The finished share of the run before a step, by steps or by the limit, whichever is further; 1 is the end."""
        return max(step / self._steps, self.seconds / self._limit if self._limit else 0.0)

    def left(self, step: int) -> float:
        """An estimate of the seconds that the run still takes."""
        return self.seconds * (1 / min(1.0, self.share(step)) - 1)
