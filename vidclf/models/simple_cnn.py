"""SimpleCNN of LucasVandroux/Fashion-MNIST-PyTorch: 16,841,802 parameters for 28x28 grey and ten classes."""

from __future__ import annotations

from torch import Tensor, nn

from vidclf.models.initial import initialise


class SimpleCNN(nn.Module):
    """Two convolutions, each with ReLU, batch normalisation and pooling, and two fully connected layers."""

    def __init__(self, classes: int = 10, channels: int = 1, size: int = 28) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.ReLU(),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=2),  # 2, not 1: the original widens 14x14 to 16x16
            nn.ReLU(),
            nn.BatchNorm2d(64),
            nn.MaxPool2d(2),
        )
        side = (size // 2 + 2) // 2
        self.classifier = nn.Sequential(nn.Linear(64 * side * side, 4096), nn.ReLU(), nn.Linear(4096, classes))
        initialise(self, "xavier-uniform")

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
