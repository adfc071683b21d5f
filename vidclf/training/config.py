"""What a training run is asked for, in one value that is checked, saved and compared on --resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vidclf.errors import UsageError


def _setting(default: Any, low: float, high: float, about: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "about": about})


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a run, all of which shape the weights; the command line makes an option of each."""

    model: str = field(default="lean", metadata={"about": "the network, one of `vidclf models`"})
    epochs: int = _setting(64, 1, 10_000, "passes over the training crops")
    batch: int = _setting(256, 1, 65_536, "crops a step")
    lr: float = _setting(0.15, 1e-6, 10, "the highest learning rate, annealed to zero by half a cosine")
    warmup: float = _setting(2.0, 0, 1_000, "epochs in which the rate rises to it")
    momentum: float = _setting(0.9, 0, 0.999, "Nesterov's momentum")
    weight_decay: float = _setting(5e-4, 0, 1, "on weights only: not on biases, not on batch normalisation")
    label_smoothing: float = _setting(0.0, 0, 0.5, "share of the target spread over all classes")
    ema: float = _setting(0.998, 0, 0.99999, "decay a step of the averaged weights, which are those kept")
    validation: float = _setting(0.05, 0, 0.5, "share of every class kept back to choose the epoch and the temperature")
    flip: bool = field(default=True, metadata={"about": "mirror half of the crops"})
    shift: int = _setting(2, 0, 14, "move crops by up to so many pixels")
    warp: float = _setting(0.25, 0, 1, "share of the crops that are scaled and rotated")
    scale: float = _setting(0.15, 0, 1, "those, up to so much larger or smaller")
    rotate: float = _setting(8.0, 0, 180, "those, up to so many degrees")
    light: float = _setting(0.15, 0, 1, "make crops brighter or darker by up to this share")
    erase: float = _setting(0.3, 0, 1, "share of the crops that lose a rectangle to noise")
    seed: int = _setting(0, 0, 2**31 - 1, "of everything that is random")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, limits = getattr(self, setting.name), setting.metadata
            if "low" in limits and not limits["low"] <= value <= limits["high"]:
                raise UsageError(f"{setting.name} must be {limits['low']} to {limits['high']}, got {value}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)
