"""Fine-tuning: what a run takes from the checkpoint that it starts from, and what starts fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidclf.errors import UsageError
from vidclf.files import hash_file
from vidclf.models import checkpoint
from vidclf.models.zoo import last_layer

if TYPE_CHECKING:
    from vidclf.models.classifier import Classifier
    from vidclf.training.config import Config


def settings_of(weights: str) -> dict[str, Any]:
    """The settings that a checkpoint (a path or a shipped name) determines: network, crops and normalisation.

    Does not import torch. Raises UsageError if the file is missing or not a checkpoint.
    """
    header = checkpoint.read_header(weights)
    policy = header["preprocess"]
    crops = {name: policy[name] for name in ("size", "channels") if name in policy}
    return {"model": header["architecture"], "normalise": "start", **crops}


def load_start(config: Config) -> Classifier | None:
    """The trained network that a run starts from, None if it starts from a fresh one.

    Raises UsageError if it cannot be loaded, or has another architecture or takes other crops than the run's.
    """
    if not config.start:
        return None
    before = checkpoint.load(config.start)
    if before.name != config.model:
        raise UsageError(f"weights {config.start} are for model {before.name}, not {config.model}")
    if before.preprocess.format != config.policy.format:
        size, channels = before.preprocess.format
        raise UsageError(
            f"weights {config.start} take crops of size {size} and channels {channels}, "
            f"not size {config.size} and channels {config.channels}"
        )
    return before


def known_pictures(config: Config, data: str, has_validation: bool) -> str:
    """A warning if the starting weights or a teacher have learned pictures that are to validate this run; empty if not.

    data: the hash of the pictures. The same share of the same pictures would be held back again. has_validation: the
    data has pictures of its own for it.
    """
    for weights in [] if has_validation else filter(None, [config.start, *config.distill]):
        header = checkpoint.read_header(weights)
        share = (header.get("config") or {}).get("validation")
        if header.get("data") == data and isinstance(share, (int, float)) and share < config.validation:
            return (
                f"warning: {weights} has learned pictures that are to validate this run, so epoch and temperature may "
                f"be too optimistic: use --validation {share:g}"
            )
    return ""


def weights_digests(config: Config) -> dict[str, Any]:
    """Hashes of the weights that a run takes from elsewhere, to notice when it is resumed with others."""
    return {
        "start": hash_file(checkpoint.find(config.start)) if config.start else None,
        "teachers": [hash_file(checkpoint.find(name)) for name in config.distill],
    }


def take_over(model: Classifier, before: Classifier) -> None:
    """Copy the weights and batch statistics of a trained network into a fresh one of the same architecture.

    If their classes differ, the last layer stays fresh. The mean and deviation of the pixels are not copied.
    """
    left_out = set() if model.labels == before.labels else last_layer(model)
    tensors = {name: tensor for name, tensor in before.network.state_dict().items() if name not in left_out}
    missing, unknown = model.network.load_state_dict(tensors, strict=False)
    assert set(missing) == left_out and not unknown
