"""Updates of the weights: the optimiser, the learning rate over a run, and the averaged weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from vidclf.training.config import Config
from vidclf.training.muon import Muon

ADAMW_SHARE = 0.3  # with Muon, AdamW's learning rate as a share of Muon's
LONGEST_WARMUP = 0.2  # of a run: a short one must have time to anneal, too


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Muon, SGD or AdamW; only weights decay, with Muon only kernels: biases and normalisations have one dimension.

    A group's `share` is its learning rate as a share of the run's.
    """
    if config.optimizer == "muon":
        kernels = [p for p in model.parameters() if p.ndim > 2]
        rest = [p for p in model.parameters() if p.ndim <= 2]
        groups = [{"params": rest, "weight_decay": 0.0, "share": ADAMW_SHARE}]
        return Muon(kernels, groups, config.lr, config.momentum, config.weight_decay)
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    nesterov = config.nesterov and config.momentum > 0
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)


def init_state(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser its state before the first step, so that it can be saved and restored from the start.

    Zeros, which is equivalent to what it would create in that step.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            has_momentum = "momentum" in group  # SGD, and the kernels of Muon; the others are AdamW's
            names = ("momentum_buffer",) if has_momentum else ("exp_avg", "exp_avg_sq")
            state = {name: torch.zeros_like(parameter) for name in names}
            if not has_momentum:
                state["step"] = torch.tensor(0.0)
            optimizer.state[parameter] = state


def learning_rate(config: Config, done: float) -> float:
    """The rate when the share `done` (0..1) of the run is finished."""
    return config.lr * _shape(config, done)


def _shape(config: Config, done: float) -> float:
    """The rate as a share of the peak rate."""
    if config.schedule == "one-cycle":
        # Smith and Topin 2017: up to the peak in three tenths of the run, then down to nothing; both half cosines.
        rise = 0.3
        return 0.04 + 0.96 * _fall(1 - done / rise) if done < rise else _fall((done - rise) / (1 - rise))
    warmup = min(LONGEST_WARMUP, config.warmup / config.epochs)
    if done < warmup:
        return max(done / warmup, 0.01)
    if config.schedule == "cosine":
        return _fall((done - warmup) / max(1 - warmup, 1e-9))
    if config.schedule == "milestone":
        epoch = done * config.epochs + 1e-6
        return config.gamma ** sum(epoch >= milestone for milestone in config.milestones)
    return 1.0


def _fall(x: float) -> float:
    """Half a cosine, from 1 at 0 down to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * x))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the exponential moving average, including that of batch statistics, towards the trained network."""
    pairs = [
        (a, b)
        for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)
