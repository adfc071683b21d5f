"""Whether a detector's network computes in another runtime what it computes in torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from vidclf.errors import UsageError
from vidclf.models.cache import forget
from vidclf.models.detector_spec import DetectorSpec

log = logging.getLogger(__name__)

# Most that the logits of the highest scores on a picture may differ from torch's in 32 bits, on average. Measured with
# YOLO11n: 3e-6 in f32, 4e-4 in ONNX Runtime, 0.08 in bf16.
TOLERANCE = {"f32": 0.01, "f16": 0.5, "bf16": 0.5}
HIGHEST = 1000  # scores: the lowest ones depend on how exact a runtime's sigmoid is near 0
BOX_TOLERANCE = 1.0  # pixels, the median of centres and sizes: YOLO11n in bf16 is 0.02 off


@dataclass(frozen=True, slots=True)
class Parity:
    """What torch computed, in 32 bits, of a picture, and the folder in the cache of the network to compare with it."""

    spec: DetectorSpec
    answers: np.ndarray  # torch's first output for `picture`
    folder: Path

    @property
    def picture(self) -> np.ndarray:
        """The picture, (height, width, 3) uint8 BGR."""
        return pattern(self.spec.stride)

    def check(self, found: np.ndarray, precision: str) -> None:
        """Compare a network's first output for the picture, without its first axis: scores, and boxes.

        Raises UsageError if they differ, after the removal of the folder.
        """
        found, wanted, spec = found[None], self.answers, self.spec
        if found.shape != wanted.shape:
            self._refuse(f"it gives {found.shape} values, and torch gives {wanted.shape}")
        highest = np.argsort(spec.scores_in(wanted), axis=None)[-HIGHEST:]
        ours, torchs = (_logits(spec.scores_in(boxes).ravel()[highest]) for boxes in (found, wanted))
        scores = np.abs(ours - torchs).mean()
        boxes = np.median(np.abs(found[:, :4] - wanted[:, :4]))
        if not scores <= TOLERANCE[precision]:  # `not`, so that NaN counts as different
            self._refuse(f"its scores differ from torch's by {scores:.2g} (logits, on average)")
        if not (spec.nms_free or boxes <= BOX_TOLERANCE):  # of NMS-free boxes, the network has chosen some
            self._refuse(f"its boxes differ from torch's by {boxes:.2g} pixels")
        log.debug("the network in %s is within %.1g of torch", self.folder, scores)

    def _refuse(self, why: str) -> NoReturn:
        forget(self.folder)  # probably damaged: the next run makes it again
        raise UsageError(why)


def pattern(stride: int) -> np.ndarray:
    """(side, side, 3) uint8, the same on every machine: patches of colour, which get scores of all sizes."""
    patches = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    return patches.repeat(stride, axis=0).repeat(stride, axis=1)


def _logits(scores: np.ndarray) -> np.ndarray:
    scores = scores.clip(1e-7, 1 - 1e-7)
    return np.log(scores / (1 - scores))
