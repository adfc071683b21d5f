"""Alternative ways to initialise the weights of a new network."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vidclf.errors import UsageError


def initialise(network: nn.Module, how: str) -> nn.Module:
    """Initialise a network's weights again, from torch's global random stream; returns the network.

    how: a name in `INITS`. Raises UsageError on any other.
    """
    if how not in INITS:
        raise UsageError(f"unknown init {how!r} (available: {', '.join(INITS)})")
    for module in network.modules():
        INITS[how](module)
    return network


def _own(module: nn.Module) -> None:
    """Keep the initialisation of the network's own file; for the predecessors' networks that is their authors'."""


def _xavier_uniform(module: nn.Module) -> None:
    """As LucasVandroux/Fashion-MNIST-PyTorch did with SimpleCNN: only the weights of convolutions."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def _b(module: nn.Module) -> None:
    """As xuehaouwa/Fashion-MNIST did: Xavier normal and N(0, 1) biases for convolutions, N(1, 0.02) and 0 for norms.

    0.02 is the standard deviation. Fully connected layers keep torch's initialisation.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.normal_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


INITS: dict[str, Callable[[nn.Module], None]] = {"own": _own, "xavier-uniform": _xavier_uniform, "b": _b}
