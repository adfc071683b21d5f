"""How the weights of a fresh network are drawn, where it is not as the network's own file says."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vidclf.errors import UsageError


def initialise(network: nn.Module, how: str) -> nn.Module:
    """Draw a network's first weights anew, from torch's global random stream; returns the network.

    how: a name in `INITS`. Raises UsageError on any other.
    """
    if how not in INITS:
        raise UsageError(f"unknown init {how!r} (there are: {', '.join(INITS)})")
    for module in network.modules():
        INITS[how](module)
    return network


def _own(module: nn.Module) -> None:
    """Leave it as the network's file made it, which for the predecessors' is as their authors did."""


def _xavier_uniform(module: nn.Module) -> None:
    """What LucasVandroux/Fashion-MNIST-PyTorch did with SimpleCNN: the weights of convolutions, nothing else."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def _b(module: nn.Module) -> None:
    """What xuehaouwa/Fashion-MNIST did: Xavier normal and N(0, 1) biases for convolutions, N(1, 0.02) and 0 for norms.

    0.02 is the standard deviation. Fully connected layers stay as torch made them.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.normal_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


INITS: dict[str, Callable[[nn.Module], None]] = {"own": _own, "xavier-uniform": _xavier_uniform, "b": _b}
