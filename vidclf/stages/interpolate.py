"""Interpolate: fills in the detections on frames that the detector skipped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter, sleep

import cv2
import numpy as np

from vidclf.frame import Box, Detection, Frame, Source
from vidclf.stages._awaited import awaited

MOST_HELD = 256  # frames that may wait for the next searched one, in case one is lost on the way
MOST_BYTES = 512 << 20  # their bytes, per source: 20 pictures in 4K
LOOK = 0.01  # seconds without a frame, after which it is seen what can be passed on
HASTE = 0.5  # a live source's frames follow each other after this share of the time between them, ...
LONGEST = 0.05  # ... and at most this many seconds


@dataclass(slots=True)
class Gap:
    """What is known at one end of a gap, and the frames in it."""

    time: float = 0.0
    known: list[Detection] = field(default_factory=list)  # copies, of the last frame that was searched
    held: list[Frame] = field(default_factory=list)
    ready: deque[Frame] = field(default_factory=deque)  # filled in, but not yet passed on
    due: float = 0.0  # when the next of these may be passed on, by `perf_counter`

    def end(self) -> None:
        """Nobody knows when the next frame comes: those that are held are filled in by what is known."""
        self.ready += _repeat(self)
        self.held = []

    def next(self) -> Frame:
        """The next frame to be passed on."""
        frame = self.ready.popleft()
        if frame.source.live:
            apart = self.ready[0].time - frame.time if self.ready else 0.0
            self.due = perf_counter() + min(HASTE * apart, LONGEST)
        return frame


class Interpolate:
    """Fill in the frames that `gate` marked, from the frames around them; place it after `track`.

    Between two searched frames, an object seen on both (by its track) moves in a straight line; its box follows from
    the frames' times. An object seen only before stays where it was until the middle of the gap; one seen only after
    is at its later place from the middle on. A frame that shows nothing new repeats the last detections. Frames are
    therefore held back until the next searched one, which delays a live picture by that much. Those of a live source
    are then passed on one by one, at most twice as fast as they came: the next stages would drop most of a burst as
    late.
    """

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        gaps: dict[Source, Gap] = {}
        for frame in awaited(frames, LOOK):
            if frame is not None:
                self._add(gaps.setdefault(frame.source, Gap(frame.time)), frame)
            for source, gap in gaps.items():
                if source.live and source.state != "connected":
                    gap.end()
                while gap.ready and perf_counter() >= gap.due:
                    yield gap.next()
        for gap in gaps.values():
            gap.end()
            while gap.ready:
                sleep(max(0.0, gap.due - perf_counter()))
                yield gap.next()

    def _add(self, gap: Gap, frame: Frame) -> None:
        """Hold a frame back, or fill in those that were held back for it."""
        most = min(MOST_HELD, MOST_BYTES // frame.image.nbytes)
        if frame.skip == "between" and len(gap.held) + len(gap.ready) < most:
            gap.held.append(frame)
            return
        if frame.skip:
            frame.detections = _copies(gap.known)
        gap.ready += [*_fill(gap, frame), frame]
        gap.time, gap.known, gap.held = frame.time, _copies(frame.detections), []


def _fill(gap: Gap, after: Frame) -> list[Frame]:
    """The frames of a gap, filled in from both ends."""
    if gap.held and gap.held[0].image.shape != after.image.shape:  # places in one are none in the other
        return _repeat(gap)
    later = {d.track: d for d in after.detections if d.track is not None}
    earlier = {d.track for d in gap.known}
    appeared = [d for d in after.detections if d.track is None or d.track not in earlier]
    for frame in gap.held:
        share = (frame.time - gap.time) / max(after.time - gap.time, 1e-9)
        moving = [_at(d, later[d.track], share) for d in gap.known if d.track in later]
        alone = [d for d in gap.known if d.track not in later] if share <= 0.5 else appeared
        frame.detections = moving + _copies(alone)
    return gap.held


def _repeat(gap: Gap) -> list[Frame]:
    """The frames of a gap, filled in from its beginning alone."""
    for frame in gap.held:
        frame.detections = _copies(gap.known)
    return gap.held


def _copies(detections: Iterable[Detection]) -> list[Detection]:
    return [_at(each, each, 0.0) for each in detections]


def _at(one: Detection, two: Detection, share: float) -> Detection:
    """An object between two sightings: only what the detector and the tracker found, nothing from later stages."""
    x0, y0, x1, y1 = (round(a + (b - a) * share) for a, b in zip(one.box, two.box, strict=True))
    box: Box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))  # rounding must not leave a narrow one empty
    near = two if share > 0.5 else one
    return Detection(box, one.score + (two.score - one.score) * share, near.kind, _fitted(near.mask, box), one.track)


def _fitted(mask: np.ndarray | None, box: Box) -> np.ndarray | None:
    """A mask scaled to a box: without one, the classifier would see what is behind the object."""
    columns, rows = box[2] - box[0], box[3] - box[1]
    if mask is None or mask.shape == (rows, columns):
        return mask
    return cv2.resize(mask.astype(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_LINEAR) > 127
