"""A streaming video pipeline: detect, crop to 28x28, classify in batches, annotate, write.

from vidclf import load_pipeline
load_pipeline("motion", capture={"source": "in.mp4"}, write={"path": "out.mp4"}).run()
"""

from __future__ import annotations

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
