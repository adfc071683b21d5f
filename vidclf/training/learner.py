"""What learns in a run: the network, its average, the optimiser."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vidclf.errors import UsageError
from vidclf.models.classifier import Classifier
from vidclf.models.labels import named
from vidclf.models.zoo import MNIST, create
from vidclf.training import data
from vidclf.training.config import Config
from vidclf.training.data import Parts
from vidclf.training.optim import init_state, make_optimizer
from vidclf.training.progress import Progress
from vidclf.training.start import take_over

# Mean and standard deviation of the pixels, 0..1.
NORMALISATIONS = {"mnist": MNIST, "none": (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Learner:
    """What every step needs: the trained network, the averaged one that is kept, and the optimiser."""

    config: Config
    batch: int  # crops in a step
    steps: int  # in an epoch
    model: Classifier
    forward: Callable[[Tensor], Tensor]  # the model, or what torch.compile made of it
    average: Classifier  # what is validated and kept
    optimizer: torch.optim.Optimizer
    class_weights: Tensor | None
    device: str


def make_learner(
    config: Config, parts: Parts, before: Classifier | None, device: str, compiled: bool, progress: Progress
) -> Learner:
    """The network at the start of a run, with everything that trains it.

    Raises UsageError if there are too few crops to train or to validate it.
    """
    learning, labels = parts.learning, parts.labels
    if config.patience and not len(parts.validation):
        raise UsageError(f"patience {config.patience} needs validation crops, and there are none")
    if len(learning) < 2:
        raise UsageError(f"too few training pictures: {len(learning)}, at least 2 are needed")
    # A few pictures need many steps, too; batch normalisation needs more than one crop in each.
    batch = min(config.batch, max(2, len(learning) // 8))
    torch.manual_seed(config.seed)
    if before and config.normalise == "start":
        mean, std = float(before.mean), float(before.std)
    else:
        mean, std = NORMALISATIONS.get(config.normalise) or measure(learning.images)
    policy = before.preprocess if before else config.policy
    model = create(config.model, labels, policy, mean, std, pretrained=config.pretrained, init=config.init)
    if before:
        take_over(model, before)
        if before.labels == labels:
            progress.line(f"starting from all weights of {config.start}")
        else:
            progress.line(
                f"starting from the weights of {config.start}, but with a fresh last layer, because it has other "
                f"classes: {named(before.labels)}"
            )
    model.to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, config)
    init_state(optimizer)
    return Learner(
        config,
        batch,
        len(learning) // batch,
        model,
        torch.compile(model) if compiled else model,
        copy.deepcopy(model).requires_grad_(False),
        optimizer,
        data.class_weights(learning.targets, len(labels)) if config.class_weights else None,
        device,
    )


def measure(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels, on a scale of 0..1; from their counts, which need no memory."""
    counts, values = images.flatten().bincount(minlength=256).cpu().double(), torch.arange(256).double() / 255
    counts /= counts.sum()
    mean = float((counts * values).sum())
    return round(mean, 4), max(round(float((counts * (values - mean) ** 2).sum().sqrt()), 4), 1e-4)
