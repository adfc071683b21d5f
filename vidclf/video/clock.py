"""When a written frame is shown: at its source's own time, or in the slots of a constant rate."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from vidclf.frame import Frame


def seconds(frame: Frame) -> Fraction:
    """When a frame is shown, counted from where reading began."""
    return frame.pts * frame.source.time_base - Fraction(frame.source.begin)


class SourceClock:
    """Every frame at its own time, in units of `time_base`, or as soon after it as there is a unit free.

    A frame that a stage repeats is shown once.
    """

    def __init__(self, time_base: Fraction):
        self._time_base = time_base
        self._at = Fraction(-1)
        self._latest = -1

    def ticks(self, frame: Frame) -> Iterable[int]:
        """The timestamps to write a frame at: one, or none."""
        at = seconds(frame)
        if at <= self._at:
            return ()
        self._at = at
        self._latest = max(self._latest + 1, round(at / self._time_base))
        return (self._latest,)


class SteadyClock:
    """A constant number of frames a second, so that the duration stays true.

    A frame is written not at all where two fall into one slot, and again where the source left a gap.
    """

    def __init__(self, rate: Fraction):
        self._rate = rate
        self._written = 0

    def ticks(self, frame: Frame) -> Iterable[int]:
        """The slots, counted from 0, to write a frame into."""
        slots = range(self._written, round(seconds(frame) * self._rate) + 1)
        self._written = max(self._written, slots.stop)
        return slots
