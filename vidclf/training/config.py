"""The settings of a training run, in one value that is checked, saved and compared on --resume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vidclf.errors import UsageError
from vidclf.limits import check_choice, check_range
from vidclf.models.zoo import NETWORKS
from vidclf.preprocess import Preprocess


# Fields with what the command line needs for an option: its kind, its range or choices, a text about it, and, unless
# they follow from the name and the kind, its flag and metavar.
def _whole(default: int, low: int, high: int, about: str) -> Any:
    return field(default=default, metadata={"kind": int, "low": low, "high": high, "about": about})


def _number(default: float | None, low: float, high: float, about: str) -> Any:
    return field(default=default, metadata={"kind": float, "low": low, "high": high, "about": about})


def _choice(default: str, choices: Iterable[str], about: str) -> Any:
    return field(default=default, metadata={"kind": str, "choices": tuple(choices), "about": about})


def _other(default: Any, kind: type, about: str, **words: str) -> Any:
    return field(default=default, metadata={"kind": kind, "about": about, **words})


# The share of the usual learning rate that the command line takes with --from. From `lean`, 8 epochs, with a fifth, a
# tenth and a twentieth: 300 pictures of three garments 85.8, 89.1, 89.5 % (3 seeds), 300 of people and scenes 86.2,
# 87.3, 85.9; only 3,000 turned negatives, unlike anything `lean` has learned, want more: 78.1, 73.9, 68.8 (2 seeds).
FINE_TUNING = 0.1
# What each optimiser uses if it is not told: the values of one are far too high or low for another.
OPTIMIZERS: dict[str, dict[str, float]] = {
    "muon": {"lr": 0.01, "momentum": 0.95, "weight_decay": 0.1},
    "sgd": {"lr": 0.15, "momentum": 0.9, "weight_decay": 5e-4},
    "adamw": {"lr": 0.003, "momentum": 0.9, "weight_decay": 5e-4},  # it has no momentum of that name
}


def _usual(setting: str, names: str = "muon sgd adamw") -> str:
    """The defaults of optimisers in words: "0.01 for muon, 0.15 for sgd"."""
    return ", ".join(f"{OPTIMIZERS[name][setting]:g} for {name}" for name in names.split())


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a run, all of which shape the weights; the command line has an option for each."""

    model: str = _choice("lean", NETWORKS, "the network, one of `vidclf models`")
    size: int = _whole(28, 8, 1024, "width and height of a crop, in pixels")
    channels: int = _whole(1, 1, 3, "channels of a crop: 1 is grey, 3 is colour")
    normalise: str = _choice(
        "data",
        ("data", "mnist", "none", "start"),
        "normalise by the data, by MNIST, or not; start: as the weights of --from (default with it)",
    )
    labels: tuple[str, ...] = ()  # by default Fashion-MNIST's or folder names
    init: str = _choice(
        "own", ("own", "xavier-uniform", "b"), "how to initialise the weights; own: as the network's authors did"
    )
    pretrained: bool = _other(False, bool, "start from ImageNet weights (resnet18 only)")
    start: str = _other(
        "",
        str,
        "start from these trained weights, a file or a shipped name (fine-tuning)",
        flag="--from",
        metavar="WEIGHTS",
    )

    epochs: int = _whole(64, 1, 10_000, "passes over the training crops")
    # Batch normalisation needs at least two crops.
    batch: int = _whole(256, 2, 65_536, "crops per step, but at most an eighth of the training crops")
    optimizer: str = _choice(
        "muon", OPTIMIZERS, "Muon for convolutions and AdamW for the rest, SGD with momentum, or AdamW"
    )
    lr: float = _number(
        None, 1e-6, 10, f"peak learning rate; if not given, {_usual('lr')}, and a tenth of it with --from"
    )
    schedule: str = _choice(
        "cosine",
        ("cosine", "constant", "milestone", "one-cycle"),
        "how the learning rate changes after the warm-up",
    )
    milestones: tuple[int, ...] = _other(
        (), int, "epoch after which the rate is multiplied by gamma; repeatable", flag="--milestone"
    )
    gamma: float = _number(0.1, 1e-6, 1, "factor for the rate at each milestone")
    warmup: float = _number(
        2.0, 0, 1_000, "epochs in which the rate rises, at most a fifth of all; not used by one-cycle"
    )
    momentum: float = _number(None, 0, 0.999, f"momentum; if not given, {_usual('momentum', 'muon sgd')}")
    nesterov: bool = _other(True, bool, "use Nesterov momentum in SGD")
    weight_decay: float = _number(
        None,
        0,
        1,
        "decay of weights, with muon only of convolutions, never of biases or normalisations; "
        f"if not given, {_usual('weight_decay')}",
    )
    ema: float = _number(
        0.998, 0, 0.99999, "decay per step of the averaged weights, which are the ones saved; 0: no average"
    )
    patience: int = _whole(0, 0, 10_000, "stop after this many epochs without a better validation; 0: never")

    label_smoothing: float = _number(0.0, 0, 0.5, "share of the target that is spread over all classes")
    class_weights: bool = _other(False, bool, "weight classes so that rare ones count as much as frequent ones")
    distill: tuple[str, ...] = _other(
        (), str, "weights of a teacher to learn from; repeatable: the mean of their outputs"
    )
    distill_share: float = _number(
        0.9, 0, 1, "share of the loss that comes from the teachers; the rest comes from the labels"
    )
    distill_temperature: float = _number(2.0, 0.1, 100, "temperature that softens the outputs of teacher and student")
    views: int = _whole(0, 0, 10_000, "random versions of each crop, used in turn; 0: a new one every epoch")

    validation: float = _number(
        0.05, 0, 0.5, "share of each class used for validation, to choose the epoch and the temperature"
    )
    keep: str = _choice(
        "best",
        ("best", "last"),
        "which epoch's weights are kept: the best in validation, or the last: with few validation crops the best is a "
        "matter of luck, and a schedule that ends near zero makes the last as good",
    )
    flip: bool = _other(True, bool, "mirror half of the crops")
    shift: int = _whole(2, 0, 14, "shift crops by up to this many pixels")
    warp: float = _number(0.25, 0, 1, "share of the crops that are scaled and rotated")
    scale: float = _number(0.15, 0, 1, "make those up to this share larger or smaller")
    rotate: float = _number(8.0, 0, 180, "rotate those by up to this many degrees")
    light: float = _number(0.15, 0, 1, "make crops brighter or darker by up to this share")
    erase: float = _number(0.3, 0, 1, "share of the crops in which a rectangle is replaced by noise")
    mixup: float = _number(0.0, 0, 10, "blend pairs of crops and labels: alpha of the Beta distribution; 0: off")
    cutmix: float = _number(0.0, 0, 10, "paste a part of one crop into another: alpha as for mixup; 0: off")

    seed: int = _whole(0, 0, 2**31 - 1, "seed of the random numbers")

    def __post_init__(self) -> None:
        for name, usual in OPTIMIZERS.get(self.optimizer, {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        for setting in fields(self):
            value, limits = getattr(self, setting.name), setting.metadata
            if "low" in limits:
                check_range(setting.name, value, limits["low"], limits["high"])
            if "choices" in limits:
                check_choice(setting.name, value, limits["choices"])
        if self.schedule == "milestone" and not self.milestones:
            raise UsageError("schedule milestone needs milestones, the epochs after which the rate falls")
        if self.keep == "last" and self.patience:
            raise UsageError("keep last does not go with patience, whose last epoch is a worse one: leave out either")
        if any(milestone < 1 for milestone in self.milestones):
            raise UsageError(f"milestones must be 1 or more, got {', '.join(map(str, self.milestones))}")
        if self.start and self.pretrained:
            raise UsageError("--from and --pretrained cannot be combined: give only one of them")
        if self.start and self.init != "own":
            raise UsageError(f"--from has weights, and --init is for fresh ones: init must be own, got {self.init!r}")
        if self.normalise == "start" and not self.start:
            raise UsageError("normalise start needs --from")
        for name in ("mixup", "cutmix"):
            if 0 < (alpha := getattr(self, name)) < 1e-3:  # Beta distributions of much less are not computed
                raise UsageError(f"{name} must be 0, or 0.001 to 10, got {alpha:g}")
        if self.mixup and self.cutmix:
            raise UsageError("mixup and cutmix cannot be combined: give only one of them")

    @property
    def policy(self) -> Preprocess:
        """How pictures become crops; saved in the checkpoint."""
        return Preprocess(size=self.size, channels=self.channels)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, as read from JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
