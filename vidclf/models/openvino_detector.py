"""Detectors for OpenVINO: converted from .pt files, once, into the cache; or exported by ultralytics."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError, one_line
from vidclf.models.converted import converted
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.networks import OpenVinoNetwork
from vidclf.models.openvino_runtime import import_openvino, openvino_core
from vidclf.models.ultralytics_model import TASKS

NETWORK = "network.xml"


def converted_to_openvino(weights: Path, precision: str) -> OpenVinoNetwork:
    """The network of a .pt file; once it is in the cache, neither torch nor ultralytics is imported for it.

    That saves seconds at the start, and hundreds of megabytes.
    Raises UsageError if the file is not a model, and any error of OpenVINO, or of torch while it is converted.
    """
    runtime = f"openvino-{version('openvino')}-{version('ultralytics')}"
    known = converted(weights, runtime, _write)
    network = openvino_core().read_model(str(known.folder / NETWORK))
    return OpenVinoNetwork(network, known.spec, precision, known.answers)


def _write(model: Any, folder: Path) -> None:
    from vidclf.models.openvino_conversion import to_openvino  # after ultralytics is imported, with its guards

    to_openvino(model, folder / NETWORK)


def exported(folder: Path, precision: str) -> OpenVinoNetwork | None:
    """The network in a folder that ultralytics exported for squares of one size; None if it is another kind.

    Raises UsageError if OpenVINO cannot read it.
    """
    import yaml

    openvino = import_openvino()
    try:
        (file,) = folder.glob("*.xml")
        known = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
        width = int(known["imgsz"][1])
        names = {int(number): str(name) for number, name in known["names"].items()}
        options = known.get("args") or {}
        is_rtdetr = "RTDETR" in str(known.get("head", ""))
        nms_free = bool(known.get("end2end") or options.get("nms") or is_rtdetr)
        spec = DetectorSpec(names, int(known["stride"]), nms_free, is_rtdetr, known["task"] == "segment", width)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None  # ultralytics will say what is wrong
    try:
        network = openvino_core().read_model(str(file))
        is_square = network.input(0).partial_shape == openvino.PartialShape([1, 3, width, width])
        # Older exports do not tell that a network is of RT-DETR's kind; the shape of its output does.
        _, high, wide = (side.get_length() if side.is_static else 0 for side in network.output(0).partial_shape)
        expected = nms_free if wide == 6 else not nms_free and high < wide
        if not is_square or known["task"] not in TASKS or (known["task"] == "detect" and not expected):
            return None
        return OpenVinoNetwork(take_bytes(network), spec, precision)
    except RuntimeError as error:
        raise UsageError(f"{folder} is not a detector that OpenVINO can load: {one_line(error, 200)}") from None


def take_bytes(network: Any) -> Any:
    """Let an `openvino.Model` of (N, 3, height, width) float32 RGB from 0 to 1 take (N, height, width, 3) uint8 BGR."""
    ov = import_openvino()
    steps = ov.preprocess.PrePostProcessor(network)
    bgr, rgb = ov.preprocess.ColorFormat.BGR, ov.preprocess.ColorFormat.RGB
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(bgr)
    steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(rgb).scale(255.0)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    return steps.build()
