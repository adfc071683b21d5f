"""What a training run is asked for, in one value that is checked, saved and compared on --resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess


def _number(default: Any, low: float, high: float, about: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "about": about})


def _choice(default: str, choices: str, about: str) -> Any:
    return field(default=default, metadata={"choices": tuple(choices.split()), "about": about})


def _other(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


ADAMW_LR = 0.003  # what the command line takes for adamw unless told: SGD's rates are far too high for it


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a run, all of which shape the weights; the command line makes an option of each."""

    model: str = _other("lean", "the network, one of `vidclf models`")
    size: int = _number(28, 8, 1024, "pixels a side of a crop")
    channels: int = _number(1, 1, 3, "of a crop: 1 is grey, 3 is colour")
    normalise: str = _choice("data", "data mnist none", "pixels by the data's mean and deviation, MNIST's, or not")
    labels: tuple[str, ...] = _other(
        (), "file of class names, one a line or JSON; default: Fashion-MNIST's or folders'"
    )
    init: str = _choice("own", "own xavier-uniform b", "how fresh weights are drawn; own: as the network's authors did")
    pretrained: bool = _other(False, "begin with ImageNet's weights (resnet18)")

    epochs: int = _number(64, 1, 10_000, "passes over the training crops")
    # Batch normalisation wants two crops at least.
    batch: int = _number(256, 2, 65_536, "crops a step; of few pictures an eighth at most")
    optimizer: str = _choice("sgd", "sgd adamw", "SGD with momentum, or AdamW")
    lr: float = _number(0.15, 1e-6, 10, f"the highest learning rate; of adamw {ADAMW_LR} unless given")
    schedule: str = _choice("cosine", "cosine constant milestone one-cycle", "how the learning rate goes on from there")
    milestones: tuple[int, ...] = _other((), "epochs after which the rate is multiplied by gamma; repeatable")
    gamma: float = _number(0.1, 1e-6, 1, "see milestones")
    warmup: float = _number(
        2.0, 0, 1_000, "epochs in which the rate rises, a fifth of all at most; one-cycle has its own"
    )
    momentum: float = _number(0.9, 0, 0.999, "of SGD")
    nesterov: bool = _other(True, "look ahead along the momentum")
    weight_decay: float = _number(5e-4, 0, 1, "on weights only: not on biases, not on batch normalisation")
    ema: float = _number(0.998, 0, 0.99999, "decay a step of the averaged weights, which are those kept; 0: no average")
    patience: int = _number(0, 0, 10_000, "stop after so many epochs without a better validation; 0: never")

    label_smoothing: float = _number(0.0, 0, 0.5, "share of the target spread over all classes")
    class_weights: bool = _other(False, "rare classes count as much as frequent ones")
    distill: tuple[str, ...] = _other((), "weights of a teacher, whose answers are learned; repeatable: their mean")
    distill_share: float = _number(0.9, 0, 1, "of the loss that is the teachers' answers; the rest is the labels")
    distill_temperature: float = _number(2.0, 0.1, 100, "by which both answers are softened")
    views: int = _number(0, 0, 10_000, "random versions of each crop, told over and over; 0: a new one every epoch")

    validation: float = _number(0.05, 0, 0.5, "share of every class kept back to choose the epoch and the temperature")
    flip: bool = _other(True, "mirror half of the crops")
    shift: int = _number(2, 0, 14, "move crops by up to so many pixels")
    warp: float = _number(0.25, 0, 1, "share of the crops that are scaled and rotated")
    scale: float = _number(0.15, 0, 1, "those, up to so much larger or smaller")
    rotate: float = _number(8.0, 0, 180, "those, up to so many degrees")
    light: float = _number(0.15, 0, 1, "make crops brighter or darker by up to this share")
    erase: float = _number(0.3, 0, 1, "share of the crops that lose a rectangle to noise")
    mixup: float = _number(0.0, 0, 10, "blend crops, and their labels, in pairs: alpha of the shares' Beta; 0: no")
    cutmix: float = _number(0.0, 0, 10, "paste a part of one crop into another, likewise")

    seed: int = _number(0, 0, 2**31 - 1, "of everything that is random")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, limits = getattr(self, setting.name), setting.metadata
            if "low" in limits and not limits["low"] <= value <= limits["high"]:
                raise UsageError(f"{setting.name} must be {limits['low']} to {limits['high']}, got {value}")
            if "choices" in limits and value not in limits["choices"]:
                raise UsageError(f"{setting.name} must be one of {', '.join(limits['choices'])}, got {value!r}")
        if self.schedule == "milestone" and not self.milestones:
            raise UsageError("schedule milestone wants milestones, epochs after which the rate falls")
        if any(milestone < 1 for milestone in self.milestones):
            raise UsageError(f"milestones must be 1 or more, got {', '.join(map(str, self.milestones))}")
        if self.mixup and self.cutmix:
            raise UsageError("mixup and cutmix are two ways to mix: give one of them")

    @property
    def policy(self) -> Preprocess:
        """How pictures become crops; it travels in the checkpoint."""
        return Preprocess(size=self.size, channels=self.channels)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, as JSON gives them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
