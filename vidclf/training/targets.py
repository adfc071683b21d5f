"""The training targets: the smoothed labels, and the soft targets of the teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.errors import UsageError
from vidclf.models import checkpoint
from vidclf.models.backends import runs_on_cuda
from vidclf.models.labels import order
from vidclf.models.predictor import Predictor
from vidclf.preprocess import Preprocess

PIXELS = 256 * 28 * 28  # of the crops that go through a teacher at a time: a network needs far more memory than they


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
        # The crops leave the GPU for a runtime that has none here.
        place = device if runs_on_cuda(checkpoint.find(name)) else "cpu"
        teacher = Predictor(name, device=place, threads=torch.get_num_threads())
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
    means = []
    for part in crops.split(max(1, PIXELS // crops[0].numel())):
        batch = np.ascontiguousarray(part.cpu().numpy())
        logits = [torch.from_numpy(teacher.network.logits(batch)[:, teacher.order]) for teacher in teachers]
        means.append(torch.stack([torch.softmax(each / temperature, dim=1) for each in logits]).mean(dim=0))
    return torch.cat(means).to(crops.device)


def distillation(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """How far the network is from these soft targets (Hinton et al. 2015), a scalar.

    Multiplied by the squared temperature, so that its gradients do not shrink as the targets get softer.
    """
    return -(soft * torch.log_softmax(logits / temperature, dim=1)).sum(dim=1).mean() * temperature**2
