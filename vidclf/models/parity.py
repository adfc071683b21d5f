"""Whether a detector's network computes in another runtime what it computes in torch."""

from __future__ import annotations

import numpy as np

from vidclf.errors import UsageError
from vidclf.models.detector_spec import DetectorSpec

# Most that the logits of the highest scores on a picture may differ from torch's in 32 bits, on average. Measured with
# YOLO11n: 3e-6 in f32, 7e-4 in ONNX Runtime, whose sigmoid is less exact near 0; 0.08 in bf16.
TOLERANCE = {"f32": 0.01, "f16": 0.5, "bf16": 0.5}
BOX_TOLERANCE = 1.0  # pixels, the median of centres and sizes: YOLO11n in bf16 is 0.02 off
HIGHEST = 1000  # scores, of tens of thousands: most are nearly 0
LEAST = 1e-5  # lower scores count as this


def check(found: np.ndarray, wanted: np.ndarray, spec: DetectorSpec, precision: str) -> None:
    """Compare a network's first output for `pattern` with torch's: scores, and boxes.

    Raises UsageError if they differ.
    """
    if found.shape != wanted.shape:
        raise UsageError(f"it gives {found.shape} values, and torch gives {wanted.shape}")
    highest = np.argsort(spec.scores_in(wanted), axis=None)[-HIGHEST:]
    ours, torchs = (_logits(spec.scores_in(boxes).ravel()[highest]) for boxes in (found, wanted))
    scores = np.abs(ours - torchs).mean()
    if not scores <= TOLERANCE[precision]:  # `not`, so that NaN counts as different
        raise UsageError(f"its scores differ from torch's by {scores:.2g} (logits, on average)")
    boxes = np.median(np.abs(found[:, :4] - wanted[:, :4]))
    if not (spec.nms_free or boxes <= BOX_TOLERANCE):  # of NMS-free boxes, the network has chosen some
        raise UsageError(f"its boxes differ from torch's by {boxes:.2g} pixels")


def pattern(stride: int) -> np.ndarray:
    """(side, side, 3) uint8, the same on every machine: patches of colour, which get scores of all sizes."""
    patches = np.random.default_rng(0).integers(0, 256, (5, 5, 3), np.uint8)
    return patches.repeat(stride, axis=0).repeat(stride, axis=1)


def _logits(scores: np.ndarray) -> np.ndarray:
    scores = scores.clip(LEAST, 1 - LEAST)
    return np.log(scores / (1 - scores))
