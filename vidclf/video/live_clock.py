"""Determines when a live picture was taken, whatever the source's own clock does and however late it arrives."""

from __future__ import annotations

TICKS = 90_000  # units per second of a live source's timestamps, whatever its own are
BACKWARDS = 1.0  # seconds: a clock that goes back this far was reset
FORWARDS = 60.0  # seconds that a picture may be early, since HLS comes in pieces; a clock further ahead was reset


class LiveClock:
    """When live pictures were taken, across reconnects, on this machine's clock, which has no jumps and no drift.

    A picture that reading had to wait for is perfectly fresh. It gives the offset between the source's clock and
    ours, and so the delay of later pictures that were already waiting.
    paced: the source comes in large pieces (HLS), and its pictures are meant for later.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._last = -1
        self._distance: float | None = None  # our clock's seconds less the source's
        self._before = 0.0

    def reconnected(self) -> None:
        """Note that the source's own clock may have been reset."""
        self._distance = None

    def taken(self, time: float | None, arrived: float, fresh: bool, paced: bool = False) -> float:
        """`perf_counter` seconds at which a picture of the source's time `time` was taken (or is to be shown)."""
        if time is None:
            return arrived
        if (
            self._distance is None
            or time < self._before - BACKWARDS
            or (fresh and not (paced and arrived < time + self._distance))
            or (paced and time + self._distance - arrived > FORWARDS)
        ):
            self._distance = arrived - time
        self._before = time
        due = time + self._distance
        return due if paced else min(arrived, due)

    def ticks(self, taken: float) -> int:
        """The picture's timestamp: later than the one before, counted from the very first picture."""
        if self._began is None:
            self._began = taken
        self._last = max(self._last + 1, round((taken - self._began) * TICKS))
        return self._last
