"""One epoch of training: the crops in random order, a batch at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.models.device import mixed_precision
from vidclf.training import evaluation
from vidclf.training.augment import mix
from vidclf.training.clock import Clock
from vidclf.training.learner import Learner
from vidclf.training.optim import learning_rate, update_average
from vidclf.training.progress import Progress, duration
from vidclf.training.targets import distillation, smoothed


def train_epoch(
    learner: Learner,
    crops: Tensor,
    targets: Tensor,
    soft_targets: Tensor | None,
    epoch: int,
    clock: Clock,
    progress: Progress,
) -> tuple[list[Tensor], list[Tensor], float]:
    """Learn from the crops in random order; returns each step's loss and hits, and the last learning rate.

    What remains after the last whole batch, other crops in every epoch, is left out.
    soft_targets: the teachers', for all crops. The epoch ends early if the clock runs out in the middle of it.
    """
    config, batch, steps = learner.config, learner.batch, learner.steps
    torch.manual_seed(config.seed * 200_003 + epoch)
    order = torch.randperm(len(targets)).to(learner.device)
    losses, hits, rate = list[Tensor](), list[Tensor](), 0.0
    learner.model.train()
    for i in range(steps):
        step = epoch * steps + i
        if (share := clock.share(step)) >= 1:
            break
        rate = learning_rate(config, share)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        chosen = order[i * batch : (i + 1) * batch]
        soft = soft_targets[chosen] if soft_targets is not None else None
        loss, right = _loss(learner, crops[chosen], targets[chosen], soft)
        learner.optimizer.zero_grad()
        loss.backward()
        learner.optimizer.step()
        update_average(learner.average, learner.model, min(config.ema, (1 + step) / (10 + step)))
        losses.append(loss.detach())
        hits.append(right)
        progress.live(f"epoch {epoch + 1}, step {i + 1} of {steps}, {duration(clock.left(step + 1))} left")
    return losses, hits, rate


def _loss(learner: Learner, crops: Tensor, targets: Tensor, soft: Tensor | None) -> tuple[Tensor, Tensor]:
    """The loss and `evaluation.hits` of one batch; the crops are blended first if the settings say so.

    soft: the batch's soft targets, if there are teachers.
    Of a blend, the class with the larger share counts as right.
    """
    config = learner.config
    wanted = smoothed(targets, len(learner.model.labels), config.label_smoothing)
    if config.mixup or config.cutmix:
        crops, partner, own = mix(crops, config)
        wanted = torch.lerp(wanted[partner], wanted, own)
        soft = torch.lerp(soft[partner], soft, own) if soft is not None else None
    with mixed_precision(learner.device):
        logits = learner.forward(crops).float()
    loss = F.cross_entropy(logits, wanted, learner.class_weights)
    if soft is not None:
        loss = loss.lerp(distillation(logits, soft, config.distill_temperature), config.distill_share)
    return loss, evaluation.hits(logits.detach(), wanted.argmax(dim=1))
