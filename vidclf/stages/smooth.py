"""Smooth: keeps a tracked object's label stable while single pictures of it differ."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.limits import check_range

log = logging.getLogger(__name__)

FORGET = 10.0  # time constants without a sighting after which a track's past counts for nothing


class Smooth:
    """Label each tracked object by its probabilities averaged over time; place it after `classify`; needs `track`.

    seconds: time constant of the exponential average: a sighting this long ago counts 1/e. margin: how far another
    class must be ahead before the label changes. abstain: below this averaged probability the label stays empty.
    Detections without a track or without probabilities pass unchanged.
    """

    def __init__(self, seconds: float = 0.5, margin: float = 0.05, abstain: float = 0.0):
        if not 0 < seconds <= 3600:
            raise UsageError(f"seconds must be above 0 and at most 3600, got {seconds}")
        check_range("margin", margin, 0, 1)
        check_range("abstain", abstain, 0, 1)
        self.seconds, self.margin, self.abstain = seconds, margin, abstain

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        pasts: dict[tuple[Source, int], Past] = {}
        names: dict[int, str] = {}  # of the classes that have been among the best so far
        is_tracked = has_named = False
        for frame in frames:
            for d in frame.detections:
                has_named = has_named or d.probabilities is not None
                if d.track is not None and d.probabilities is not None:
                    is_tracked = True
                    names |= zip(np.argsort(-d.probabilities).tolist(), (name for name, _ in d.ranked), strict=False)
                    self._smooth(d, pasts, (frame.source, d.track), frame.time, names)
            if len(pasts) > 1000:
                pasts = {key: past for key, past in pasts.items() if self._matters(past, key, frame)}
            yield frame
        if has_named and not is_tracked:
            log.warning("smooth has no effect: no detection has a track; put track after the detector (--track)")

    def _smooth(
        self,
        detection: Detection,
        pasts: dict[tuple[Source, int], Past],
        key: tuple[Source, int],
        time: float,
        names: dict[int, str],
    ) -> None:
        now = np.asarray(detection.probabilities, np.float64)
        past = pasts.get(key)
        if past is None or past.total.shape != now.shape:
            past = pasts[key] = Past(np.zeros_like(now), 0.0, time, int(now.argmax()))
        kept = float(np.exp(-max(0.0, time - past.time) / self.seconds))
        past.total = past.total * kept + now
        past.weight = past.weight * kept + 1.0
        past.time = time
        mean = past.total / past.weight
        order = [int(i) for i in np.argsort(-mean) if int(i) in names]
        if mean[order[0]] > mean[past.label] + self.margin:
            past.label = order[0]
        order.sort(key=lambda i: i != past.label)
        detection.probabilities = mean.astype(np.float32)
        detection.ranked = [(names[i], float(mean[i])) for i in order[: len(detection.ranked)]]
        detection.label, detection.label_score = detection.ranked[0]
        if detection.label_score < self.abstain:
            detection.label = ""

    def _matters(self, past: Past, key: tuple[Source, int], frame: Frame) -> bool:
        return key[0] is not frame.source or frame.time - past.time < FORGET * self.seconds


@dataclass(slots=True)
class Past:
    """What one track has looked like so far."""

    total: np.ndarray  # probabilities, each weighted by its age
    weight: float
    time: float
    label: int  # index of its class
