"""Muon updates kernels in all directions alike, and leaves the rest to AdamW."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidclf.training.config import Config
from vidclf.training.muon import orthogonal
from vidclf.training.optim import init_state, make_optimizer


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16), (16, 1)])
def test_all_singular_values_become_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-4
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = torch.linalg.svdvals(found)
    assert made.min() > 0.5 and made.max() < 1.3
    directions = F.cosine_similarity(found.flatten(), (left @ right).flatten(), dim=0)
    assert directions > 0.95  # the same directions, each as strong as any other
    assert F.cosine_similarity(matrix.flatten(), (left @ right).flatten(), dim=0) <= directions + 1e-6


def test_a_kernel_moves_as_far_as_an_update_of_adamw_does() -> None:
    """The root mean square of an update is 0.2 of the learning rate."""
    model = nn.Sequential(nn.Conv2d(4, 16, 3, bias=False))
    optimizer = make_optimizer(model, Config(lr=0.01, weight_decay=0.0))
    before = model[0].weight.detach().clone()
    model[0].weight.grad = torch.randn(16, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    moved = (model[0].weight.detach() - before).square().mean().sqrt()
    assert float(moved) == pytest.approx(0.2 * 0.01, rel=0.25)
    assert model[0].weight.grad is None


def test_what_is_no_kernel_is_moved_by_adamw() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    rest = [parameter for parameter in model.parameters() if parameter.ndim <= 2]
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in rest]
    optimizer = make_optimizer(model, Config(lr=0.01))
    for group in optimizer.param_groups:
        group["lr"] = 0.01 * group.get("share", 1.0)  # as an epoch does
    plain = torch.optim.AdamW(copies, lr=0.003, betas=(0.9, 0.95), weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(2, 1, 3, 3)).square().sum().backward()
        for copy, parameter in zip(copies, rest, strict=True):
            copy.grad = None if parameter.grad is None else parameter.grad.clone()
        optimizer.step()
        plain.step()
    for copy, parameter in zip(copies, rest, strict=True):
        assert torch.equal(copy, parameter)


def test_a_memory_of_zeros_is_as_good_as_none() -> None:
    """A run saves and restores what its optimiser remembers, from before the first step."""
    kernels = []
    for begins_with_zeros in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
        optimizer = make_optimizer(model, Config())
        if begins_with_zeros:
            init_state(optimizer)
            assert len(optimizer.state) == 4
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.randn(2, 1, 3, 3)).square().sum().backward()
            optimizer.step()
        kernels.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*kernels)
