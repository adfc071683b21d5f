"""The predecessors' networks with the names their authors gave the layers, as those are in their files.

After LucasVandroux/Fashion-MNIST-PyTorch (A, commit 1247a97) and xuehaouwa/Fashion-MNIST (B, 87eec0e and de5ca13).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SimpleCNNModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn1, self.norm1 = nn.Conv2d(1, 32, 5, padding=2), nn.BatchNorm2d(32)
        self.cnn2, self.norm2 = nn.Conv2d(32, 64, 3, padding=2), nn.BatchNorm2d(64)
        self.fc1, self.fc2 = nn.Linear(4096, 4096), nn.Linear(4096, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.norm1(F.relu(self.cnn1(x))), 2)
        x = F.max_pool2d(self.norm2(F.relu(self.cnn2(x))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class FashionCNNV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn_1, self.cnn_2 = nn.Conv2d(1, 16, 5), nn.Conv2d(16, 32, 3)
        self.fc_1, self.fc_2 = nn.Linear(800, 512), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.cnn_1(x)), 2)
        x = F.max_pool2d(F.relu(self.cnn_2(x)), 2)
        return self.fc_2(F.relu(self.fc_1(x.flatten(1))))


class FashionCNNV2(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.cnn_1, self.cnn_2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 3)
        self.fc_1, self.fc_2 = nn.Linear(1600, 512), nn.Linear(512, classes)
        self.bn_1, self.bn_2 = nn.BatchNorm2d(32), nn.BatchNorm2d(64)  # after the layers that follow them

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.bn_1(F.relu(self.cnn_1(x))), 2)
        x = F.max_pool2d(self.bn_2(F.relu(self.cnn_2(x))), 2)
        return self.fc_2(F.relu(self.fc_1(x.flatten(1))))


class FashionCNNV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 256, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(256), nn.MaxPool2d(2)),
        )
        self.mlp = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * 7 * 7, 2048), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.cnn(x).flatten(1))


class GreyResNet18(nn.Module):
    """A's use of torchvision's: the state is the inner network's alone."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        self.inner = resnet18(num_classes=10)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.repeat(1, 3, 1, 1))


def make(name: str) -> nn.Module:
    """One of them, its normalisations as if it had been trained."""
    torch.manual_seed(7)
    makers = {"simple-cnn": SimpleCNNModel, "v1": FashionCNNV1, "v2": FashionCNNV2, "v3": FashionCNNV3}
    network = makers.get(name, GreyResNet18)()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()
