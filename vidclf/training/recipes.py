"""Named settings: how the predecessors trained their networks, and how ours were trained."""

from __future__ import annotations

from typing import Any

# Those from before Muon was here.
_SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4}

# LucasVandroux/Fashion-MNIST-PyTorch: a constant rate, one tenth for validation, the best epoch kept.
_A: dict[str, Any] = _SGD | {
    "normalise": "mnist", "epochs": 300, "batch": 256, "lr": 0.015, "schedule": "constant", "warmup": 0.0,
    "weight_decay": 0.0, "ema": 0.0, "validation": 0.1, "shift": 0, "warp": 0.0, "light": 0.0, "erase": 0.0,
}  # fmt: skip
_A_CROPS = {"shift": 4, "erase": 0.5}

# xuehaouwa/Fashion-MNIST: all 60,000 pictures, the last epoch kept.
_B: dict[str, Any] = _SGD | {
    "normalise": "none", "epochs": 60, "batch": 128, "lr": 0.025, "schedule": "milestone", "milestones": (40,),
    "gamma": 0.3, "warmup": 0.0, "nesterov": False, "weight_decay": 0.0, "ema": 0.0, "validation": 0.0, "flip": False,
    "shift": 0, "warp": 0.0, "light": 0.0, "erase": 0.0,
}  # fmt: skip

# Their networks, trained our way: in fewer epochs, and better. Updating millions of parameters costs more than the
# crops do, so the big networks take fewer and larger steps.
_OURS: dict[str, Any] = _SGD | {
    "epochs": 25, "batch": 128, "lr": 0.05, "warmup": 1.0, "shift": 2, "warp": 0.0, "light": 0.0, "erase": 0.25,
}  # fmt: skip
_OURS_BIG = _OURS | {"epochs": 16, "batch": 256, "lr": 0.08}

# Ours; see the cards in weights/.
_LEAN: dict[str, Any] = {
    "optimizer": "muon", "lr": 0.01, "momentum": 0.95, "weight_decay": 0.1, "epochs": 100, "validation": 0.02,
    "shift": 3, "warp": 0.15, "light": 0.1, "erase": 0.5,
}  # fmt: skip
_LEAN_SMALL: dict[str, Any] = _SGD | {
    "epochs": 100, "lr": 0.2, "warp": 0.1, "light": 0.1, "distill": ("lean", "lean-large"), "views": 20,
    "validation": 0.02,
}  # fmt: skip
_LEAN_LARGE: dict[str, Any] = _LEAN | {"epochs": 130}

RECIPES: dict[str, dict[str, Any]] = {
    "lean": {"model": "lean"} | _LEAN,
    "lean-small": {"model": "lean-small"} | _LEAN_SMALL,
    "lean-large": {"model": "lean-large"} | _LEAN_LARGE,
    "simple-cnn": {"model": "simple-cnn"} | _OURS_BIG,
    "resnet18": {"model": "resnet18"} | _OURS_BIG | {"epochs": 24, "shift": 1, "erase": 0.1},
    "v1": {"model": "v1"} | _OURS | {"shift": 1, "erase": 0.0},
    "v2": {"model": "v2"} | _OURS | {"shift": 1},
    "v3": {"model": "v3"} | _OURS_BIG,
    "simple-cnn-a": {"model": "simple-cnn"} | _A,
    "simple-cnn-a-crops": {"model": "simple-cnn"} | _A | _A_CROPS,
    "resnet18-a": {"model": "resnet18"} | _A,
    "resnet18-a-crops": {"model": "resnet18"} | _A | _A_CROPS,
    "v1-b": {"model": "v1"} | _B,
    "v1-b-flip": {"model": "v1"} | _B | {"flip": True},
    "v2-b": {"model": "v2"} | _B,
    "v2-b-flip": {"model": "v2"} | _B | {"flip": True},
    "v3-b": {"model": "v3"} | _B,
    "v3-b-flip": {"model": "v3"} | _B | {"flip": True},
    "v3-b-flip-80": {"model": "v3"} | _B | {"flip": True, "lr": 0.015, "epochs": 80},
}
