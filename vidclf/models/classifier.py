"""A network with everything needed to use it: normalisation, labels, preprocessing, temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vidclf.preprocess import Preprocess, stack_crops


class Classifier(nn.Module):
    """Crops in, logits out; the normalisation is inside, so it cannot be forgotten.

    `network` takes (N, channels, size, size) float32 of mean 0 and variance 1 and returns (N, classes) logits.
    `mean` and `std` are those of the training pixels, scaled to 0..1; they are saved with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        network: nn.Module,
        labels: Sequence[str],
        preprocess: Preprocess,
        mean: float,
        std: float,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = name
        self.labels = tuple(labels)
        self.preprocess = preprocess
        self.temperature = temperature
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.network = network.to(memory_format=torch.channels_last)  # what CPU and GPU convolutions prefer

    def forward(self, crops: Tensor) -> Tensor:
        """(N, channels, size, size) uint8 -> (N, classes) logits, before the temperature."""
        return self.network((crops.float() / 255 - self.mean) / self.std)

    def probabilities(self, crops: Tensor) -> Tensor:
        """(N, channels, size, size) uint8 -> (N, classes) float32 calibrated probabilities."""
        return torch.softmax(self(crops).float() / self.temperature, dim=1)

    @property
    def parameter_count(self) -> int:
        """Trainable numbers in the network."""
        return sum(p.numel() for p in self.network.parameters())


def to_tensor(crops: Sequence[np.ndarray]) -> Tensor:
    """Crops as `preprocess.crop_picture` makes them -> one (N, channels, size, size) uint8 tensor."""
    return torch.from_numpy(stack_crops(crops))
