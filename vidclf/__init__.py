"""A streaming video pipeline: detect, crop to 28x28, classify in batches, annotate, write.

    from vidclf import load_pipeline
    stats = load_pipeline("motion", capture={"source": "in.mp4"}, write={"path": "out.mp4"}).run()

The names below are all that a program, or a custom stage, needs; the built-in stages are in `vidclf.stages`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidclf.channel import Channel
    from vidclf.errors import UsageError, VidclfError
    from vidclf.frame import Detection, Frame, Source
    from vidclf.pipeline import Pipeline
    from vidclf.recipe import load_pipeline

__version__ = "0.1.0"
__all__ = [
    "Channel",
    "Detection",
    "Frame",
    "Pipeline",
    "Source",
    "UsageError",
    "VidclfError",
    "__version__",
    "load_pipeline",
]
# Imported when first used: `vidclf --help` needs none of them, and importing numpy alone takes longer than it does.
_LIES_IN = {
    "Channel": "channel",
    "Detection": "frame",
    "Frame": "frame",
    "Pipeline": "pipeline",
    "Source": "frame",
    "UsageError": "errors",
    "VidclfError": "errors",
    "load_pipeline": "recipe",
}


def __getattr__(name: str) -> Any:
    if name in _LIES_IN:
        return getattr(import_module(f"vidclf.{_LIES_IN[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
