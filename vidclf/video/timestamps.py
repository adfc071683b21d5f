"""Repairs presentation timestamps, so that every frame has one and they strictly increase."""

from __future__ import annotations


class Timestamps:
    """Gives each frame of one source a timestamp that is later than the one before.

    step: the usual distance of two frames, in the source's time base; used if a timestamp is missing.
    A single timestamp that runs backwards is a glitch: its frame is put one step after the last (or closer, so that it
    stays before the next). Two in a row that belong together mean that the clock was set back (two recordings joined):
    everything after that is shifted, so that distances are kept.
    """

    def __init__(self, step: int):
        self._step = max(1, step)
        self._last: int | None = None  # the latest one returned
        self._shift = 0
        self._behind: int | None = None  # the latest timestamp that ran backwards, as read

    def repair(self, pts: int | None) -> int:
        """The timestamp to use for the next frame, whose own is `pts`."""
        if self._last is None:
            self._last = pts if pts is not None else 0
            return self._last
        if pts is None:
            self._last += self._step
            return self._last
        if pts + self._shift <= self._last:
            if self._behind is not None and self._goes_with(pts, self._behind):
                self._shift = self._last - self._behind
                self._behind = None
            else:
                self._behind = pts
                self._last += 1 if self._is_jitter(pts) else self._step
                return self._last
        else:
            self._behind = None
        self._last = max(pts + self._shift, self._last + 1)
        return self._last

    def _goes_with(self, pts: int, behind: int) -> bool:
        """Whether `pts` continues the clock of `behind` rather than the one before."""
        assert self._last is not None
        return pts > behind and abs(pts - behind - self._step) < abs(pts + self._shift - self._last)

    def _is_jitter(self, pts: int) -> bool:
        """Whether it is less than one step behind: the next frame will be right again, so leave room for it."""
        assert self._last is not None
        return self._last - (pts + self._shift) < self._step
