"""Tells when a live picture was taken, whatever the source's own clock does and however late the picture comes."""

from __future__ import annotations

TICKS = 90_000  # units a second of a live source's timestamps, whatever its own are
BACKWARDS = 1.0  # seconds: a clock that goes back so far was set anew
FORWARDS = 60.0  # seconds that a picture may be early, as HLS comes in pieces; a clock so far ahead was set anew


class LiveClock:
    """When a live picture was taken, across reconnects, on this machine's clock: what has no jumps and no drift.

    A picture for which reading had to wait is as fresh as can be. It tells the distance between the source's clock
    and ours, and so how late the next ones are that were waiting already.
    paced: the source comes in large pieces (HLS), and its pictures are meant for later.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._last = -1
        self._distance: float | None = None  # our clock's seconds less the source's
        self._before = 0.0

    def reconnected(self) -> None:
        """The source's own clock begins anew."""
        self._distance = None

    def taken(self, time: float | None, arrived: float, fresh: bool, paced: bool = False) -> float:
        """`perf_counter` seconds at which a picture of the source's time `time` was taken (or shall be shown)."""
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
        """The picture's timestamp: later than the one before, counted from the first picture of all."""
        if self._began is None:
            self._began = taken
        self._last = max(self._last + 1, round((taken - self._began) * TICKS))
        return self._last
