"""How good a classifier is: accuracy, calibration and the metrics of each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from rich.cells import cell_len, set_cell_size
from torch import Tensor

from vidclf.calibration import calibration_error

# Minimum to fit a temperature. With fewer crops, or almost no mistakes among them, the best fit can be anything from
# 0.1 to 10, which is worse than none for other pictures.
LEAST_CROPS, LEAST_MISTAKES = 100, 5


@torch.inference_mode()
def predict(model: Callable[[Tensor], Tensor], images: Tensor, batch: int | None = None) -> Tensor:
    """(N, channels, size, size) uint8 -> (N, classes) float32 logits, before the temperature.

    model: a `Classifier`, or what does the same.
    batch: crops at a time, because a network needs far more memory than they do; by default 512 of 28x28 grey pixels,
    or fewer larger ones.
    """
    batch = batch or max(1, 512 * 28 * 28 // images[0].numel())
    return torch.cat([model(part).float() for part in images.split(batch)])


def score(logits: Tensor, targets: Tensor, labels: Sequence[str], temperature: float = 1.0) -> dict[str, Any]:
    """Metrics of predictions: correct, total, and top1, top5, ece and per_class in percent."""
    answers = ranked(logits)
    right = answers == targets[:, None]
    error = calibration_error(confidences(logits, temperature), right[:, 0].cpu().numpy())
    return {
        "correct": int(right[:, 0].sum()),
        "total": len(targets),
        **tops(right),
        "ece": round(100 * (error or 0), 3),
        "per_class": {label: _class_figures(answers[:, 0], targets, i) for i, label in enumerate(labels)},
    }


def confidences(logits: Tensor, temperature: float) -> np.ndarray:
    """(N,) float32 probability of the best class."""
    return torch.softmax(logits / temperature, dim=1).amax(dim=1).cpu().numpy()


def ranked(logits: Tensor) -> Tensor:
    """(N, 5) int64: the network's first, second, ... answer; fewer columns if there are fewer classes."""
    return logits.topk(min(5, logits.shape[1])).indices


def hits(logits: Tensor, targets: Tensor) -> Tensor:
    """(N, 5) bool: whether the label is the network's first, second, ... answer."""
    return ranked(logits) == targets[:, None]


def tops(right: Tensor) -> dict[str, float]:
    """top1 and top5 in percent, from the result of `hits`."""
    return {"top1": _percent(int(right[:, 0].sum()), len(right)), "top5": _percent(int(right.sum()), len(right))}


def tells_top5(metrics: Mapping[str, Any]) -> bool:
    """Whether top-5 of `score` means anything: with five classes or fewer it is always 100 %."""
    return len(metrics["per_class"]) > 5


def confusion(targets: Tensor, predictions: Tensor, classes: int) -> Tensor:
    """(classes, classes) int64 counts: one row per true class, one column per predicted class."""
    return torch.bincount(targets.cpu() * classes + predictions.cpu(), minlength=classes**2).view(classes, classes)


def fit_temperature(logits: Tensor, targets: Tensor) -> float | None:
    """The temperature with the lowest cross-entropy on these logits (Guo et al. 2017), between 0.1 and 10.

    None if there are too few, see `LEAST_CROPS`. The loss has one minimum over the logarithm of the temperature, which
    is found by ternary search.
    """
    if len(targets) < LEAST_CROPS or int((logits.argmax(dim=1) != targets).sum()) < LEAST_MISTAKES:
        return None

    def loss(exponent: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits.double() / 10**exponent, targets))

    low, high = -1.0, 1.0
    while high - low > 1e-4:
        third = (high - low) / 3
        low, high = (low, high - third) if loss(low + third) < loss(high - third) else (low + third, high)
    return round(10 ** ((low + high) / 2), 4)


def table(metrics: Mapping[str, Any]) -> str:
    """The metrics of `score` as readable text."""
    width = max(map(cell_len, ["class", *metrics["per_class"]]))  # Chinese letters are two cells wide
    lines = [f"{'class':<{width}}  precision  recall     F1"]
    for label, row in metrics["per_class"].items():
        lines.append(f"{set_cell_size(label, width)}  {row['precision']:9.2f}  {row['recall']:6.2f}  {row['f1']:5.2f}")
    top5 = f"top-5 {metrics['top5']:.2f} %, " if tells_top5(metrics) else ""
    lines.append(
        f"{metrics['correct']} of {metrics['total']} correct: top-1 {metrics['top1']:.2f} %, {top5}"
        f"calibration error {metrics['ece']:.2f} %"
    )
    return "\n".join(lines)


def _class_figures(predicted: Tensor, targets: Tensor, index: int) -> dict[str, float]:
    right = int(((predicted == index) & (targets == index)).sum())
    found, there = int((predicted == index).sum()), int((targets == index).sum())
    precision, recall = _percent(right, found), _percent(right, there)
    return {"precision": precision, "recall": recall, "f1": _percent(2 * right, found + there)}


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
