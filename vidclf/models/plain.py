"""The three networks of xuehaouwa/Fashion-MNIST: v1 (420,298 parameters), v2 (844,362) and v3 (30,076,234).

The counts are for 28x28 grey and ten classes. Pooling halves, convolutions of v1 and v2 are not padded.
"""

from __future__ import annotations

from torch import nn

from vidclf.errors import UsageError
from vidclf.models.initial import initialise


def v1(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Module:
    """Two convolutions without batch normalisation."""
    return _two_convolutions(classes, channels, size, (16, 32), normalise=False)


def v2(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Module:
    """Two wider convolutions with batch normalisation."""
    return _two_convolutions(classes, channels, size, (32, 64), normalise=True)


def v3(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Module:
    """Three padded convolutions and two large fully connected layers with dropout."""
    side = size // 4
    return initialise(
        nn.Sequential(
            *_layer(channels, 32, 3, padding=1),
            *_layer(32, 64, 3, padding=1),
            nn.MaxPool2d(2),
            *_layer(64, 256, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256 * side * side, 2048),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(2048, 2048),
            nn.ReLU(),
            nn.Linear(2048, classes),
        ),
        "b",
    )


def _two_convolutions(classes: int, channels: int, size: int, widths: tuple[int, int], normalise: bool) -> nn.Module:
    side = ((size - 4) // 2 - 2) // 2  # of a crop after the convolutions and poolings
    if side < 1:
        raise UsageError(f"v1 and v2 need crops of at least 12x12 pixels, got {size}")
    first, second = widths
    return initialise(
        nn.Sequential(
            *_layer(channels, first, 5, normalise=normalise),
            nn.MaxPool2d(2),
            *_layer(first, second, 3, normalise=normalise),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * side * side, 512),
            nn.ReLU(),
            nn.Linear(512, classes),
        ),
        "b",
    )


def _layer(channels: int, width: int, kernel: int, padding: int = 0, normalise: bool = True) -> list[nn.Module]:
    """Convolution, ReLU and then batch normalisation, in the order of the originals."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel, padding=padding), nn.ReLU()]
    return [*layers, nn.BatchNorm2d(width)] if normalise else layers
