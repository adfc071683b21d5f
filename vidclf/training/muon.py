"""Muon, an optimiser for the kernels of convolutions, with AdamW for all other parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.AdamW):
    """Jordan et al. 2024, https://kellerjordan.github.io/posts/muon: momentum, made orthogonal.

    kernels: parameters of two or more dimensions. Each is seen as a matrix with a row for each output channel. Its
    update has the directions of the momentum's matrix, but all equally strong, so that what the gradient shows weakly
    is learned as fast as the rest. Its size is that of an AdamW update (Liu et al. 2025, "Muon is scalable for LLM
    training"), and weight decay is decoupled, as there. groups: the other parameters, as AdamW takes them.

    torch.optim.Muon is for matrices only: as of torch 2.15 it refuses the four-dimensional kernels of convolutions.
    """

    def __init__(
        self,
        kernels: Sequence[nn.Parameter],
        groups: Sequence[dict[str, Any]],
        lr: float,
        momentum: float,
        weight_decay: float,
    ):
        own = {"params": list(kernels), "weight_decay": weight_decay, "momentum": momentum}
        super().__init__([own, *groups], lr=lr, betas=(0.9, 0.95))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have gradients, and clear the gradients of the kernels."""
        own = self.param_groups[0]
        for kernel in own["params"]:
            if kernel.grad is None:
                continue
            if not (state := self.state[kernel]):
                state["momentum_buffer"] = torch.zeros_like(kernel)
            memory = state["momentum_buffer"]
            memory.lerp_(kernel.grad, 1 - own["momentum"])
            nesterov = kernel.grad.lerp(memory, own["momentum"])
            update = orthogonal(nesterov.flatten(1))
            kernel.mul_(1 - own["lr"] * own["weight_decay"])
            kernel.add_(update.view_as(kernel), alpha=-own["lr"] * 0.2 * max(update.shape) ** 0.5)
            kernel.grad = None  # AdamW leaves a parameter without a gradient alone
        super().step()


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix (rows, columns) of the same directions, whose singular values are all about one (0.7 to 1.2).

    By five steps of a Newton-Schulz iteration with the coefficients of Jordan et al. Values that were below a
    thousandth of the largest stay smaller.
    """
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
