"""torchvision's ResNet18 (He et al. 2015) with ten outputs: 11,181,642 parameters."""

from __future__ import annotations

from torch import Tensor, nn


class ResNet18(nn.Module):
    """torchvision's network as it is, 7x7 stem of stride 2 included; grey is repeated to its three channels."""

    def __init__(self, classes: int = 10, channels: int = 1, size: int = 28) -> None:
        super().__init__()
        from torchvision.models import resnet18

        self.network = resnet18(weights=None)
        self.network.fc = nn.Linear(self.network.fc.in_features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.expand(-1, 3, -1, -1))
