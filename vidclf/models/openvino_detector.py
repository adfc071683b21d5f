"""Detectors for OpenVINO: converted from .pt files, once, into the cache; or exported by ultralytics."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.errors import UsageError, one_line
from vidclf.files import hash_file
from vidclf.models.cache import cached, forget
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.networks import OpenVinoNetwork, TorchNetwork
from vidclf.models.openvino_runtime import import_openvino, openvino_core
from vidclf.models.ultralytics_model import TASKS, load_detector, spec_of, undisturbed

LAYOUT = 9  # version of the detectors in the cache; another number makes them again
# The last convolution of a box branch of ultralytics' Detect head, by the name of its module.
LAST_OF_BOXES = re.compile(r"\.(one2one_)?cv2\.\d+\.2/.*Convolution$")


def converted(weights: Path, precision: str) -> OpenVinoNetwork:
    """The network of a .pt file; once it is in the cache, neither torch nor ultralytics is imported for it.

    That saves seconds at the start, and hundreds of megabytes.
    Raises UsageError if the file is not a model, and any error of OpenVINO, or of torch while it is converted.
    """
    folder = cached(
        weights,
        f"openvino-{version('openvino')}-{version('ultralytics')}-{LAYOUT}",
        lambda folder: convert(weights, folder),
    )
    try:
        known = json.loads((folder / "spec.json").read_text())
        if known.pop("sha256") != hash_file(folder / "network.bin"):
            raise RuntimeError("its weights in the cache were damaged")
        names = {int(number): name for number, name in known.pop("names").items()}
        answers = np.load(folder / "answers.npy", allow_pickle=False)
        network = openvino_core().read_model(str(folder / "network.xml"))
        stride = known["stride"]
        return OpenVinoNetwork(network, DetectorSpec(names, **known), precision, (pattern(stride), answers), folder)
    except Exception:
        forget(folder)  # the next run makes it again
        raise


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


def convert(weights: Path, folder: Path) -> None:
    """Fill a folder of the cache: the network in OpenVINO's format, and what is known of it, with torch's answers."""
    model = load_detector(str(weights))
    to_openvino(model, folder / "network.xml")
    spec = spec_of(model)
    (folder / "spec.json").write_text(json.dumps(asdict(spec) | {"sha256": hash_file(folder / "network.bin")}))
    np.save(folder / "answers.npy", spec.scores_in(TorchNetwork(model, "cpu", "f32").start(pattern(spec.stride))()[0]))


def pattern(stride: int) -> np.ndarray:
    """(1, side, side, 3) uint8, the same on every machine: patches of colour, which get scores of all sizes."""
    patches = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 3), np.uint8)
    return patches.repeat(stride, axis=1).repeat(stride, axis=2)


def to_openvino(model: Any, path: Path) -> None:
    """Convert an `ultralytics.YOLO` for pictures of all sizes: (N, height, width, 3) uint8 BGR, sides by its stride.

    Raises any error of torch or OpenVINO for operations that they cannot convert.
    """
    from copy import deepcopy

    import torch
    from ultralytics.nn.modules import DFL, Detect

    from vidclf.models import exporting

    with undisturbed():
        network = deepcopy(model.predictor.model.model).cpu().float().eval()  # what torch runs; it is fused
        for module in network.modules():
            if isinstance(module, Detect):  # and derived classes: as ultralytics' own exporter does
                module.export, module.dynamic, module.format = True, True, "openvino"
                if isinstance(module.dfl, DFL):
                    module.dfl.forward = partial(expected_distance, module.dfl)
        takes_bytes = scale_first(network, 1 / 255)
        stride = int(model.predictor.model.stride)
        network = exporting.convert(network, torch.zeros(1, 3, 2 * stride, 3 * stride), [-1, 3, -1, -1])
    network = take_bytes(network, scale=1.0 if takes_bytes else 255.0)
    keep_distances_exact(network)
    import_openvino().save_model(network, path, compress_to_fp16=False)


def scale_first(network: Any, factor: float) -> bool:
    """Multiply the weights of a torch network's first layer by a factor; False if it is no convolution that allows it.

    So the pixels need no scaling; and as whole numbers up to 255 they are exact in bfloat16.
    """
    from torch import nn

    first = getattr(getattr(network, "model", [None])[0], "conv", None)
    if not isinstance(first, nn.Conv2d):
        return False
    first.weight.data *= factor
    return True


def take_bytes(network: Any, scale: float = 255.0) -> Any:
    """Let an `openvino.Model` of (N, 3, height, width) float32 RGB take (N, height, width, 3) uint8 BGR.

    scale: the network's value for a pixel of 255 is 255 / scale.
    """
    ov = import_openvino()
    steps = ov.preprocess.PrePostProcessor(network)
    bgr, rgb = ov.preprocess.ColorFormat.BGR, ov.preprocess.ColorFormat.RGB
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(bgr)
    change = steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(rgb)
    if scale != 1:
        change.scale(scale)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    return steps.build()


def expected_distance(dfl: Any, x: Any) -> Any:
    """Computes ultralytics' DFL of (N, 4 * bins, anchors): each side's mean distance, (N, 4, anchors), in bins.

    The original computes the mean by a convolution. In a 16-bit network OpenVINO runs that, and the softmax before it,
    in 16 bits; a plain sum stays in 32. With YOLO11n on PETS09 (960x720), this takes the error of boxes in bf16 from
    0.11 to 0.09 pixels, and `keep_distances_exact` then to 0.03; that alone would leave 0.10.
    """
    count, _, anchors = x.shape
    return (x.view(count, 4, dfl.c1, anchors).softmax(2) * dfl.conv.weight.view(1, 1, -1, 1)).sum(2)


def keep_distances_exact(network: Any) -> None:
    """Mark the last convolution of each box branch in an `openvino.Model`: it stays in 32 bits at every precision.

    It is less than 1 % of the work, and its rounding is most of what bf16 does to the boxes: of 1,879 people on
    PETS09, 97.5 instead of 96.1 % have the same box and label as in 32 bits.
    """
    for operation in network.get_ops():
        if LAST_OF_BOXES.search(operation.get_friendly_name()):
            operation.get_rt_info()["precise_0"] = True  # OpenVINO's attribute "precise", version 0; it is saved, too
