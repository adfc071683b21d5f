"""Remembers the labels of tracked objects, so that `classify` need not process each of them on every frame."""

from __future__ import annotations

from dataclasses import dataclass

from vidclf.frame import Detection, Frame, Source

GROWN = 0.2  # a box whose width or height has changed by more than this share shows another view of the object
MANY = 1000  # tracks; beyond that, those with an expired name are forgotten


@dataclass(slots=True)
class Known:
    """A classification of a track: when, at which size, and the result."""

    time: float
    size: tuple[int, int]
    seen: Detection | None  # the detection being classified, until it has a name
    name: Detection | None = None  # a copy of the result: the detection itself belongs to the next stage by then


class Names:
    """The names of tracks: `wants` says which detections to classify, `share` names the others.

    seconds: how long a name is valid; 0: not at all.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._latest: dict[tuple[Source, int], Known] = {}
        self._fresh: list[Known] = []
        self._waiting: list[tuple[Detection, Known]] = []

    def wants(self, frame: Frame, detection: Detection) -> bool:
        """Whether the detection has to be classified; if not, `share` will name it."""
        if not self._seconds or detection.track is None:
            return True
        key = frame.source, detection.track
        x0, y0, x1, y1 = detection.box
        known = self._latest.get(key)
        if known and 0 <= frame.time - known.time < self._seconds and _alike(known.size, (x1 - x0, y1 - y0)):
            self._waiting.append((detection, known))
            return False
        if len(self._latest) > MANY:
            self._latest = {k: v for k, v in self._latest.items() if self._holds(v, k, frame)}
        self._latest[key] = Known(frame.time, (x1 - x0, y1 - y0), detection)
        self._fresh.append(self._latest[key])
        return True

    def _holds(self, known: Known, key: tuple[Source, int], frame: Frame) -> bool:
        """Whether a name is still valid, as far as this frame tells: another source has its own clock."""
        return key[0] is not frame.source or frame.time - known.time < self._seconds

    def share(self) -> int:
        """Name the other detections, once all wanted ones have their names. Returns how many were named."""
        for known in self._fresh:
            assert known.seen is not None
            known.name, known.seen = _named_like(known.seen, Detection(known.seen.box)), None
        for detection, known in self._waiting:
            assert known.name is not None
            _named_like(known.name, detection)
        shared = len(self._waiting)
        self._fresh, self._waiting = [], []
        return shared


def _named_like(one: Detection, other: Detection) -> Detection:
    other.probabilities, other.ranked = one.probabilities, list(one.ranked)
    other.label, other.label_score = one.label, one.label_score
    return other


def _alike(one: tuple[int, int], two: tuple[int, int]) -> bool:
    return all(abs(a - b) <= GROWN * max(a, b) for a, b in zip(one, two, strict=True))
