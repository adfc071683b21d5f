"""What objects look like, for `track`: people who cross are told apart by their clothes, not only by their places."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from trackers.utils.iou import GIoU, IoU

from vidclf.frame import Box

BANDS = 4  # about head, chest, hips and legs of someone upright
SAMPLES = 64  # rows and columns of a large object that are looked at; more do not change a mean colour
ALIKE = 12.0  # grey levels of CIE L*a*b* (0..255 each) between two looks that say neither the same nor another object
NEWER = 0.2  # share of the newest look in what is remembered of an object
NEW = -0.5  # how alike, -1..1, a track without a number is to anything: one with a number comes first
SLIGHT = 1e-6
UNKNOWN = np.full(BANDS * 3, np.nan, np.float32)  # the look of what was not seen
APART = 0.2  # objects that overlap more than this (IoU) hide each other: their looks are not remembered


class Looks(GIoU):
    """Generalised IoU (Rezatofighi et al. 2019), plus `weight` for equal looks, less `weight` for very different ones.

    It is a match from `least` on. No look makes up for an IoU below that: whoever looks the same at the other end of
    the picture is someone else. And no look keeps an object from getting its number.

    This is what a tracker of `trackers` compares its tracks with the detections of a frame by. Before its `update`,
    `see` the detections; after it, `remember` the numbers they were given.
    """

    def __init__(self, weight: float, least: float):
        self.weight, self.least = weight, least
        self.tracker: Any = None
        self._remembered: dict[int, np.ndarray] = {}  # of each number
        self._boxes = np.zeros((0, 4), np.float32)
        self._seen: list[np.ndarray] = []  # of each box

    def see(self, image: np.ndarray, boxes: np.ndarray) -> None:
        """Look at the (N, 4) float32 boxes, inside the picture, that the tracker will be asked about next."""
        if not self.weight:
            return
        self._boxes = boxes
        self._seen = [look(image, tuple(box)) for box in boxes.astype(int).tolist()]

    def remember(self, numbers: list[int | None]) -> None:
        """Keep the looks of the boxes just seen, under their numbers, and forget those that the tracker has lost."""
        if not self.weight:
            return
        overlaps = IoU().compute(self._boxes, self._boxes)
        np.fill_diagonal(overlaps, 0)
        for number, seen, others in zip(numbers, self._seen, overlaps, strict=True):
            if number is None or np.isnan(seen).any():
                continue
            known = self._remembered.setdefault(number, seen)
            if others.max() < APART:
                self._remembered[number] = known + NEWER * (seen - known)
        alive = {track.tracker_id for track in self.tracker.tracks}
        self._remembered = {number: seen for number, seen in self._remembered.items() if number in alive}

    def _compute(self, boxes_1: np.ndarray, boxes_2: np.ndarray) -> np.ndarray:
        similarity = super()._compute(boxes_1, boxes_2)
        if not self.weight:
            return similarity
        # The tracker gives boxes alone, but as they are: a track's is its state, a detection's is one of those seen.
        numbers = {track.get_state_bbox().tobytes(): track.tracker_id for track in self.tracker.tracks}
        seen = dict(zip((box.tobytes() for box in self._boxes), self._seen, strict=True))
        known = np.stack([self._remembered.get(numbers.get(box.tobytes(), -1), UNKNOWN) for box in boxes_1])
        found = np.stack([seen.get(box.tobytes(), UNKNOWN) for box in boxes_2])
        difference = np.abs(known[:, None] - found[None]).mean(axis=2)
        alike = 1 - np.minimum(difference / ALIKE, 2)  # 1: equal, -1: another object
        new = np.isnan(known).any(axis=1)
        alike[new] = NEW
        total = similarity + self.weight * np.nan_to_num(alike)
        total[new] = np.maximum(total[new], self.least)
        # The assignment with the highest sum is sought. What is no match is therefore just below the threshold: far
        # below it, one such pair would outweigh several good ones, and a row of people would change their numbers.
        return np.where(similarity < self.least, self.least - SLIGHT, np.maximum(total, self.least - SLIGHT))


def look(image: np.ndarray, box: Box) -> np.ndarray:
    """Mean colours of bands across the middle of a box, from top to bottom, in CIE L*a*b*: (BANDS * 3,) float32.

    The box is inside the picture; all are NaN if its middle is empty.
    """
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    # Its outer quarters, and a little above and below, are mostly background.
    middle = image[y0 + high // 16 : y1 - high // 16, x0 + wide // 4 : x1 - wide // 4]
    middle = middle[:: max(1, high // SAMPLES), :: max(1, wide // SAMPLES)]
    if not middle.size:
        return UNKNOWN
    colours = cv2.resize(np.ascontiguousarray(middle), (1, BANDS), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2LAB).astype(np.float32).ravel()
