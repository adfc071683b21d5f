"""The built-in stages, by the names that pipeline files use; each is imported when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidclf.stages.annotate import Annotate
    from vidclf.stages.capture import Capture
    from vidclf.stages.classify import Classify
    from vidclf.stages.crop import Crop
    from vidclf.stages.display import Display
    from vidclf.stages.gate import Gate
    from vidclf.stages.interpolate import Interpolate
    from vidclf.stages.motion import Motion
    from vidclf.stages.publish import Publish
    from vidclf.stages.record import Record
    from vidclf.stages.save_crops import SaveCrops
    from vidclf.stages.serve import Serve
    from vidclf.stages.smooth import Smooth
    from vidclf.stages.track import Track
    from vidclf.stages.write import Write
    from vidclf.stages.yolo import Yolo

STAGES = {
    "capture": "vidclf.stages.capture:Capture",
    "gate": "vidclf.stages.gate:Gate",
    "motion": "vidclf.stages.motion:Motion",
    "yolo": "vidclf.stages.yolo:Yolo",
    "track": "vidclf.stages.track:Track",
    "interpolate": "vidclf.stages.interpolate:Interpolate",
    "crop": "vidclf.stages.crop:Crop",
    "classify": "vidclf.stages.classify:Classify",
    "smooth": "vidclf.stages.smooth:Smooth",
    "save-crops": "vidclf.stages.save_crops:SaveCrops",
    "annotate": "vidclf.stages.annotate:Annotate",
    "write": "vidclf.stages.write:Write",
    "record": "vidclf.stages.record:Record",
    "serve": "vidclf.stages.serve:Serve",
    "display": "vidclf.stages.display:Display",
    "publish": "vidclf.stages.publish:Publish",
}
DETECTORS = ("motion", "yolo")

__all__ = [
    "DETECTORS",
    "STAGES",
    "Annotate",
    "Capture",
    "Classify",
    "Crop",
    "Display",
    "Gate",
    "Interpolate",
    "Motion",
    "Publish",
    "Record",
    "SaveCrops",
    "Serve",
    "Smooth",
    "Track",
    "Write",
    "Yolo",
]


def __getattr__(name: str) -> Any:
    for target in STAGES.values():
        module, _, attribute = target.partition(":")
        if attribute == name:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
