"""Decides when a written picture is shown: at its source's own time, or in the slots of a constant rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor

import numpy as np

from vidclf.errors import VidclfError

# How much of a gap is filled: an hour, or at a low rate so many pictures. A jump in the timestamps, such as of
# a camera whose clock was set during the recording, may be years long, and would fill any disk.
FILLED_SECONDS, FILLED_PICTURES = 3600, 1000

Shown = Iterator[tuple[np.ndarray, int]]  # pictures, and the timestamps to write them at


class SourceClock:
    """Shows every picture at its own time, in units of `time_base`, or at the next free unit after it.

    A frame that a stage repeats is shown once.
    """

    def __init__(self, time_base: Fraction):
        self._time_base = time_base
        self._at = Fraction(-1)
        self._tick = -1

    def show(self, image: np.ndarray, at: Fraction) -> Shown:
        """What to write now that the picture of time `at`, in seconds, is known."""
        if at > self._at:
            self._at = at
            self._tick = max(self._tick + 1, round(at / self._time_base))
            yield image, self._tick

    def finish(self, _: Fraction) -> Shown:
        """What is left to write, knowing when the last picture ends."""
        yield from ()


class SteadyClock:
    """Shows a constant number of pictures per second, and keeps the duration.

    A picture fills the slots up to the next one: several if the source left a gap, none if two fall into one slot. So
    it is held until the next one is known. Raises VidclfError for a gap of more than an hour (and 1000 pictures).
    name: of the source, for this error.
    """

    def __init__(self, rate: Fraction, name: str = "the source"):
        self._rate, self._name = rate, name
        self._slot = 0
        self._held: np.ndarray | None = None

    def show(self, image: np.ndarray, at: Fraction) -> Shown:
        """What to write now that the picture of time `at`, in seconds, is known."""
        yield from self._fill(at)
        self._held = image.copy()  # other stages may change the image before it is written

    def finish(self, end: Fraction) -> Shown:
        """What is left to write, knowing when the last picture ends; at least one picture is shown."""
        yield from self._fill(max(end, Fraction(not self._slot) / self._rate))

    def _fill(self, until: Fraction) -> Shown:
        if self._held is not None:
            slots = range(self._slot, floor(until * self._rate + Fraction(1, 2)))
            missing = slots.stop - self._slot  # the length of a range has a limit
            if missing > FILLED_PICTURES and missing / self._rate > FILLED_SECONDS:
                raise VidclfError(
                    f"{self._name} has a gap of {float(missing / self._rate) / 3600:,.1f} hours after "
                    f"{float(self._slot / self._rate):.1f} s, which is too long for a constant rate (write.fps, or the "
                    "opencv or skvideo backend); without one, the gap stays as it is"
                )
            self._slot = max(self._slot, slots.stop)
            for slot in slots:
                yield self._held, slot
