"""Selects a picture's objects from the outputs of a detector's network: by score, by class, and one box for each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """The objects in one picture, the surest first."""

    boxes: np.ndarray  # (N, 4) float32: x0, y0, x1, y1
    scores: np.ndarray  # (N,) float32
    kinds: np.ndarray  # (N,) int64: class numbers
    masks: np.ndarray | None = None  # (N, rows, columns) float32 over the network's whole input, positive inside


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects count.

    confidence: they are surer than this. iou: of two boxes of one class that overlap more than this, the surer one
    stays. kinds: class numbers, None for all. most: objects in a picture.
    """

    confidence: float
    iou: float
    kinds: Collection[int] | None
    most: int

    def with_nms(self, output: np.ndarray, classes: int, masks: np.ndarray | None = None) -> Found:
        """The objects among the boxes of all anchors (YOLOv5 to 12).

        output: (4 + classes + mask coefficients, anchors) float32; a box is its centre, width and height.
        masks: (coefficients, rows, columns) float32, of which each object's mask is a sum.
        """
        scores = output[4 : 4 + classes]
        output = output[:, scores.max(axis=0) > self.confidence]
        kinds = output[4 : 4 + classes].argmax(axis=0)
        if self.kinds is not None:
            wanted = np.isin(kinds, list(self.kinds))
            output, kinds = output[:, wanted], kinds[wanted]
        scores = output[4:][kinds, np.arange(len(kinds))]
        boxes = corners(output[:4].T)
        kept = suppress(boxes, scores, kinds, self.iou, self.most)
        return Found(boxes[kept], scores[kept], kinds[kept], _summed(output[4 + classes :].T[kept], masks))

    def without_nms(self, output: np.ndarray, masks: np.ndarray | None = None) -> Found:
        """The objects among the boxes that the network has chosen itself, one for each (YOLOv10, YOLO26, RT-DETR).

        output: (N, 6 + mask coefficients) float32: corners, score, class. masks: as in `with_nms`.
        """
        output = output[output[:, 4] > self.confidence]
        if self.kinds is not None:
            output = output[np.isin(output[:, 5], list(self.kinds))]
        output = output[: self.most]
        return Found(output[:, :4], output[:, 4], output[:, 5].astype(np.int64), _summed(output[:, 6:], masks))


def corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4): centre x, y, width, height -> x0, y0, x1, y1."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def suppress(boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray, iou: float, most: int) -> np.ndarray:
    """Greedy non-maximum suppression in each class: the indices of the boxes that stay, the surest first.

    A box goes if its intersection over union with a surer one is above `iou`. No more than `most` are looked for, so
    thousands of boxes take no longer than some.
    """
    order = np.argsort(-scores, kind="stable")
    x0, y0, x1, y1 = boxes.T
    areas = (x1 - x0) * (y1 - y0)
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x1[best], x1[order]) - np.maximum(x0[best], x0[order])
        height = np.minimum(y1[best], y1[order]) - np.maximum(y0[best], y0[order])
        both = width.clip(0) * height.clip(0)
        same = both > iou * (areas[best] + areas[order] - both)  # no division: an empty box overlaps nothing
        order = order[~(same & (kinds[order] == kinds[best]))]
    return np.array(kept, np.int64)


def _summed(coefficients: np.ndarray, masks: np.ndarray | None) -> np.ndarray | None:
    return None if masks is None else np.tensordot(coefficients, masks, 1)
