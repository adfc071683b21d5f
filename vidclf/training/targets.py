"""The training targets: the smoothed labels, and the soft targets of the teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.errors import UsageError
from vidclf.models.labels import order
from vidclf.models.predictor import Predictor
from vidclf.preprocess import Preprocess

BATCH = 256  # crops at a time through a teacher


def smoothed(targets: Tensor, classes: int, smoothing: float) -> Tensor:
    """(N,) class numbers -> (N, classes) probabilities, a share of which is spread over all classes."""
    return F.one_hot(targets, classes).float() * (1 - smoothing) + smoothing / classes


@dataclass(frozen=True)
class Teacher:
    """A trained network, and which of its outputs is the student's first class, second class, ..."""

    network: Predictor
    order: list[int]


def load_teachers(weights: Sequence[str], labels: Sequence[str], policy: Preprocess, device: str) -> list[Teacher]:
    """The teachers, by path or shipped name; raises UsageError if one has other classes or other crops.

    Classes may be in another order, and called as their folders are (`T-shirt_top` is `T-shirt/top`). They run as in a
    pipeline: on a CPU, OpenVINO takes a quarter of the time of torch in eval mode.
    """
    teachers = []
    for name in weights:
        teacher = Predictor(name, device=device)
        places = order(labels, teacher.labels)
        if places is None:
            raise UsageError(f"teacher {name} has other classes: {', '.join(teacher.labels)}")
        if teacher.preprocess.format != policy.format:
            size, channels = teacher.preprocess.format
            raise UsageError(f"teacher {name} takes other crops: {size} pixels and {channels} channels")
        teachers.append(Teacher(teacher, places))
    return teachers


def soft_targets(teachers: Sequence[Teacher], crops: Tensor, temperature: float) -> Tensor:
    """The teachers' mean probabilities, softened, for (N, channels, size, size) uint8 crops: (N, classes)."""
    batches = [np.ascontiguousarray(part.cpu().numpy()) for part in crops.split(BATCH)]
    total = torch.zeros(())
    for teacher in teachers:
        logits = np.concatenate([teacher.network.logits(batch)[:, teacher.order] for batch in batches])
        total = total + torch.softmax(torch.from_numpy(logits) / temperature, dim=1)
    return (total / len(teachers)).to(crops.device)


def distillation(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """How far the network is from these soft targets (Hinton et al. 2015), a scalar.

    Multiplied by the squared temperature, so that its gradients do not shrink as the targets get softer.
    """
    return -(soft * torch.log_softmax(logits / temperature, dim=1)).sum(dim=1).mean() * temperature**2
