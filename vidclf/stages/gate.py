"""Gate: decides which frames the detector searches, by how much the picture has changed since the last search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Frame, Skip, Source

WIDTH = 160  # pixels of the longer side of the small grey pictures that are compared
DIFFERENT = 12  # grey levels; coding noise, averaged over a pixel of the small picture, stays below
QUIET = 0.0002  # share of pixels that may differ where nothing moves
CUT = 0.6  # share of pixels that differ after a cut, or when the light goes on
MOVED = 0.1  # share of pixels that differ when the camera or something large moves: interpolation is unreliable then
SETTLED = 0.47  # see Watch; on PETS09-S2L1 it searches 175 of 795 frames, and finds what a search of all finds
LONGEST = 0.5  # seconds without a search, for objects that come too slowly to be noticed otherwise
REFRESH = 1.0  # seconds after which a still scene is searched again, in case the detector missed something


class Gate:
    """Mark frames that the detector skips (`frame.skip`), for `interpolate`, after `track`, to fill in.

    Place it before the detector.
    every: search every N-th frame; `auto` follows the picture: it searches when the moving objects have moved by
    about their own width since the last search, when much of the picture has changed, and after half a second at the
    latest.
    still: skip frames that show nothing new, for up to a second.
    """

    def __init__(self, every: int | Literal["auto"] = "auto", still: bool = False):
        if every != "auto" and not (isinstance(every, int) and 1 <= every <= 1000):
            raise UsageError(f"every must be 1 to 1000 frames, or auto, got {every!r}")
        self.every, self.still = every, still
        self.counts = {"searched": 0, "between": 0, "still": 0}

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        self.counts |= dict.fromkeys(self.counts, 0)
        watches: dict[Source, Watch] = {}
        for frame in frames:
            picture = small(frame.image)
            watch = watches.get(frame.source)
            if watch is None or watch.shape != frame.image.shape:  # boxes found in another size are of no use in it
                watches[frame.source] = Watch(picture, frame.time, frame.image.shape)
            else:
                watch.step(picture)
                frame.skip = self._decide(watch, frame.time)
                if not frame.skip:
                    watch.search(frame.time)
            self.counts[frame.skip or "searched"] += 1
            yield frame

    def _decide(self, watch: Watch, time: float) -> Skip:
        if watch.change > (MOVED if self.every == "auto" else CUT):
            return ""
        if self.still and watch.change <= QUIET and time - watch.time < REFRESH:
            return "still"
        if self.every != "auto":
            return "" if watch.steps >= self.every else "between"
        return "" if watch.has_settled or time - watch.time >= LONGEST else "between"


class Watch:
    """Measures how much the small picture of a source has changed since it was last searched.

    While objects still overlap their old places, the number of pixels that differ from the searched picture grows as
    fast as the sum of the step-to-step differences. Once an object has left its old place, it stops growing. So the
    ratio of the two says how far objects have moved relative to their own size.
    """

    def __init__(self, picture: np.ndarray, time: float, shape: tuple[int, ...]):
        self.latest, self.shape = picture, shape  # the shape of the picture that the small one was made of
        self.search(time)

    def search(self, time: float) -> None:
        """Note that the latest picture is searched."""
        self.searched, self.time = self.latest, time
        self.change = self.path = 0.0  # share of pixels that differ from the searched picture; summed, step by step
        self.steps = 0

    def step(self, picture: np.ndarray) -> None:
        """Compare the next picture."""
        self.path += difference(self.latest, picture)
        self.change = difference(self.searched, picture)
        self.latest = picture
        self.steps += 1

    @property
    def has_settled(self) -> bool:
        """Whether objects have left the places where they were found."""
        return self.change < SETTLED * self.path


def small(image: np.ndarray) -> np.ndarray:
    """A small grey copy of a (height, width, 3) picture, from its green channel."""
    height, width = image.shape[:2]
    step = max(1, max(height, width) // (3 * WIDTH))  # nine samples a pixel are enough against noise
    scale = WIDTH / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(np.ascontiguousarray(image[::step, ::step, 1]), size, interpolation=cv2.INTER_AREA)


def difference(one: np.ndarray, two: np.ndarray) -> float:
    """Share of the pixels that differ between two small pictures."""
    return float(np.count_nonzero(cv2.absdiff(one, two) > DIFFERENT)) / one.size
