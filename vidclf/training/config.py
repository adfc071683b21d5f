"""What a training run is asked for, in one value that is checked, saved and compared on --resume."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vidclf.errors import UsageError


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a run; the defaults are those that trained the shipped `lean`."""

    model: str = "lean"
    epochs: int = 60
    batch: int = 256
    lr: float = 0.15  # the highest rate; warmed up to linearly, annealed to zero by half a cosine
    warmup: float = 2.0  # epochs
    momentum: float = 0.9  # Nesterov's
    weight_decay: float = 5e-4  # on weights only: not on biases, not on batch normalisation
    label_smoothing: float = 0.05
    ema: float = 0.998  # a step; the averaged network is the one that is validated and kept
    validation: float = 0.05  # share of every class kept from training, to choose an epoch and a temperature
    flip: bool = True
    shift: int = 2  # pixels
    warp: float = 0.25  # share of the crops that are scaled and rotated
    scale: float = 0.15  # up to this much larger or smaller
    rotate: float = 8.0  # degrees
    light: float = 0.2  # up to this share brighter or darker
    erase: float = 0.5  # share of the crops that lose a rectangle
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("epochs", 1, 10_000),
            ("batch", 1, 65_536),
            ("lr", 1e-6, 10),
            ("warmup", 0, 1_000),
            ("momentum", 0, 0.999),
            ("weight_decay", 0, 1),
            ("label_smoothing", 0, 0.5),
            ("ema", 0, 0.99999),
            ("validation", 0, 0.5),
            ("shift", 0, 14),
            ("warp", 0, 1),
            ("scale", 0, 1),
            ("rotate", 0, 180),
            ("light", 0, 1),
            ("erase", 0, 1),
            ("seed", 0, 2**31 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} must be {low} to {high}, got {getattr(self, name)}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return asdict(self)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Where saved settings differ from these, in words."""
        own = self.to_dict()
        return [f"{k} {other.get(k)!r} instead of {own.get(k)!r}" for k in own | other if own.get(k) != other.get(k)]
