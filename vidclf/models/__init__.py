"""Networks that classify crops: create one by name, load one from a file, save one.

Importing this package does not import torch; the first use of one of its names does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidclf.models.checkpoint import load, save
    from vidclf.models.zoo import create

__all__ = ["create", "load", "save"]


def __getattr__(name: str) -> Any:
    if name == "create":
        from vidclf.models import zoo

        return zoo.create
    if name in ("load", "save"):
        from vidclf.models import checkpoint

        return getattr(checkpoint, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
