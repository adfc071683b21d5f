"""The table of networks: a name, and where its constructor lies."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess

if TYPE_CHECKING:
    from vidclf.models.classifier import Classifier

# A constructor takes (classes, channels, size) and gives a torch module from float pictures to logits.
NETWORKS = {
    "lean": "vidclf.models.lean:Lean",
    "simple-cnn": "vidclf.models.simple_cnn:SimpleCNN",
    "v1": "vidclf.models.plain:v1",
    "v2": "vidclf.models.plain:v2",
    "v3": "vidclf.models.plain:v3",
    "resnet18": "vidclf.models.resnet18:ResNet18",
}

FASHION_MNIST = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# Mean and standard deviation of Fashion-MNIST's 60,000 training pictures, pixels scaled to 0..1.
MEAN, STD = 0.2860, 0.3530


def create(
    name: str,
    labels: Sequence[str] = FASHION_MNIST,
    preprocess: Preprocess | None = None,
    mean: float = MEAN,
    std: float = STD,
) -> Classifier:
    """A fresh, untrained classifier by its name in `NETWORKS`; raises UsageError on any other name."""
    if name not in NETWORKS:
        raise UsageError(f"unknown model {name!r} (there are: {', '.join(NETWORKS)})")
    from vidclf.models.classifier import Classifier

    policy = preprocess or Preprocess()
    module, _, constructor = NETWORKS[name].partition(":")
    network = getattr(import_module(module), constructor)(len(labels), policy.channels, policy.size)
    return Classifier(name, network, labels, policy, mean, std)
