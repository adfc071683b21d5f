"""The table of networks: name, constructor, and known accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess

if TYPE_CHECKING:
    from vidclf.models.classifier import Classifier


class Network(NamedTuple):
    """A network's constructor, and its known accuracy on Fashion-MNIST's 10,000 test pictures."""

    constructor: str  # "module:name" of a callable that takes (classes, channels, size); maps float pictures to logits
    published: float | None = None  # top-1 in percent, the best reported by its authors
    measured: float | None = None  # top-1 in percent, by `vidclf train`; shipped weights have it in their header
    pretrained: bool = False  # whether the constructor also takes pretrained=True


NETWORKS = {
    "lean": Network("vidclf.models.lean:lean"),
    "lean-small": Network("vidclf.models.lean:lean_small"),
    "lean-large": Network("vidclf.models.lean:lean_large"),
    "simple-cnn": Network("vidclf.models.simple_cnn:SimpleCNN", published=93.51, measured=93.45),
    "v1": Network("vidclf.models.plain:v1", published=91.16, measured=92.54),
    "v2": Network("vidclf.models.plain:v2", published=92.71, measured=93.16),
    "v3": Network("vidclf.models.plain:v3", published=94.55),
    "resnet18": Network("vidclf.models.resnet18:ResNet18", published=93.17, measured=93.03, pretrained=True),
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
MNIST = (0.1307, 0.3081)  # those of MNIST, with which predecessor A normalises Fashion-MNIST


def create(
    name: str,
    labels: Sequence[str] = FASHION_MNIST,
    preprocess: Preprocess | None = None,
    mean: float = MEAN,
    std: float = STD,
    *,
    pretrained: bool = False,
    init: str = "own",
) -> Classifier:
    """A fresh, untrained classifier by its name in `NETWORKS`.

    pretrained: start with ImageNet weights, which are downloaded if they are not in torch's cache (resnet18).
    init: how the weights are initialised, see `initial.INITS`; "own" is as the network's authors did.
    Raises UsageError on an unknown name or an option that the network does not have, VidclfError without the weights.
    """
    if name not in NETWORKS:
        raise UsageError(f"unknown model {name!r} (available: {', '.join(NETWORKS)})")
    if pretrained and not NETWORKS[name].pretrained:
        able = ", ".join(other for other, network in NETWORKS.items() if network.pretrained)
        raise UsageError(f"there are no pretrained weights for {name} (available for: {able})")
    if pretrained and init != "own":
        raise UsageError(f"init has no effect on pretrained weights: it must be own, got {init!r}")
    from vidclf.models.classifier import Classifier
    from vidclf.models.initial import initialise

    policy = preprocess or Preprocess()
    module, _, constructor = NETWORKS[name].constructor.partition(":")
    options = {"pretrained": True} if pretrained else {}
    network = getattr(import_module(module), constructor)(len(labels), policy.channels, policy.size, **options)
    return Classifier(name, initialise(network, init), labels, policy, mean, std)


def last_layer(model: Classifier) -> set[str]:
    """The names of its network's tensors whose shapes depend on the number of classes."""
    import torch

    with torch.device("meta"):  # shapes without values
        other = create(model.name, [*model.labels, "one more"], model.preprocess)
    shapes = {name: tensor.shape for name, tensor in other.network.state_dict().items()}
    return {name for name, tensor in model.network.state_dict().items() if tensor.shape != shapes[name]}
