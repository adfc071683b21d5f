"""Where a run begins that goes on from trained weights: what is taken from their checkpoint, and what is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vidclf.errors import UsageError
from vidclf.models import checkpoint
from vidclf.models.labels import folder_name
from vidclf.models.zoo import last_layer

if TYPE_CHECKING:
    from vidclf.models.classifier import Classifier
    from vidclf.training.config import Config


def settings_of(weights: str) -> dict[str, Any]:
    """The settings that follow from a checkpoint (a path or a shipped name): network, crops and normalisation.

    Needs no torch. Raises UsageError where it is missing or none.
    """
    header = checkpoint.read_header(weights)
    policy = header["preprocess"]
    crops = {name: policy[name] for name in ("size", "channels") if name in policy}
    return {"model": header["architecture"], "normalise": "start", **crops}


def load_start(config: Config) -> Classifier | None:
    """The trained network that a run begins with, None where it begins with a fresh one.

    Raises UsageError where it cannot be loaded, or is of another architecture or for other crops than the run's.
    """
    if not config.start:
        return None
    before = checkpoint.load(config.start)
    if before.name != config.model:
        raise UsageError(f"the weights {config.start} are of model {before.name}, not {config.model}")
    if before.preprocess.format != config.policy.format:
        size, channels = before.preprocess.format
        raise UsageError(
            f"the weights {config.start} are for crops of size {size} and channels {channels}, "
            f"not size {config.size} and channels {config.channels}"
        )
    return before


def is_same(labels: Sequence[str], others: Sequence[str]) -> bool:
    """Are these the same classes, in whatever order? By their folders' names, as `T-shirt_top` is `T-shirt/top`."""
    return sorted(map(folder_name, labels)) == sorted(map(folder_name, others))


def take_over(model: Classifier, before: Classifier) -> None:
    """Give a fresh network the weights of a trained one of the same architecture.

    The last layer stays as it was drawn where the two name other classes. Batch statistics are weights, too; mean and
    deviation of the pixels are the fresh network's own business.
    """
    left_out = set() if model.labels == before.labels else last_layer(model)
    tensors = {name: tensor for name, tensor in before.network.state_dict().items() if name not in left_out}
    missing, unknown = model.network.load_state_dict(tensors, strict=False)
    assert set(missing) == left_out and not unknown
