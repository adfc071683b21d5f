"""Measures whether confidences are reliable: of all answers with 80 % confidence, 80 % should be right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def reliability(
    confidence: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, bins: int = 15
) -> list[tuple[float, float, int]]:
    """(mean confidence, accuracy, count) of each non-empty bin; the bins divide confidences from 0 to 1 equally."""
    sure, right = np.asarray(confidence, float), np.asarray(correct, float)
    index = np.minimum((sure * bins).astype(int), bins - 1)
    counts, sures, rights = (np.bincount(index, weights, bins) for weights in (None, sure, right))
    return [(float(sures[i] / counts[i]), float(rights[i] / counts[i]), int(counts[i])) for i in counts.nonzero()[0]]


def calibration_error(
    confidence: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, bins: int = 15
) -> float | None:
    """Expected calibration error: mean distance of confidence and accuracy over the bins, 0..1; None without data.

    Guo et al. 2017, On Calibration of Modern Neural Networks; 15 bins as there.
    """
    filled = reliability(confidence, correct, bins)
    return sum(abs(sure - right) * count for sure, right, count in filled) / len(confidence) if filled else None
