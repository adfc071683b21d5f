"""Repairs presentation timestamps, so that every frame has one and they strictly increase."""

from __future__ import annotations

from fractions import Fraction
from typing import Generic, TypeVar

FAR = 10  # seconds that a timestamp must be ahead before it is held back until the next is known

T = TypeVar("T")


class Timestamps(Generic[T]):
    """Gives each item (a picture, a packet of sound) of one track a timestamp that is later than the one before.

    step: the usual distance of two items, in the track's time base; used if a timestamp is missing.
    A single timestamp that runs backwards is a glitch: its item is put one step after the last (or closer, so that it
    stays before the next). Two in a row that belong together mean that the clock was set back (two recordings joined):
    everything after that is shifted, so that distances are kept.
    A single timestamp far ahead is a glitch, too, if the next one is nearer to those before.
    """

    def __init__(self, step: int, time_base: Fraction):
        self._step = max(1, step)
        self._far = int(FAR / time_base)
        self._last: int | None = None  # the latest one given
        self._shift = 0
        self._behind: int | None = None  # the latest timestamp that ran backwards, as read
        self._held: tuple[T, int] | None = None  # the item far ahead, and its timestamp as read

    def add(self, item: T, pts: int | None) -> list[tuple[T, int]]:
        """Take the next item, whose own timestamp is `pts`; returns the items that have theirs now, mostly this one."""
        ready = self.rest(pts)
        if pts is not None and self._last is not None and pts + self._shift - self._last > self._far:
            self._held = item, pts
        else:
            ready.append((item, self._repair(pts)))
        return ready

    def rest(self, following: int | None = None) -> list[tuple[T, int]]:
        """The item that is held back, if any; `following` is the timestamp after it, if one is known."""
        if self._held is None:
            return []
        (item, pts), self._held = self._held, None
        assert self._last is not None
        is_glitch = following is not None and abs(following + self._shift - self._last) < abs(following - pts)
        return [(item, self._repair(None if is_glitch else pts))]

    def _repair(self, pts: int | None) -> int:
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
