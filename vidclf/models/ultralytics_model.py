"""Finds and loads an ultralytics detector: quietly, without its habit of installing and downloading unasked."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.models.cache import cache_folder
from vidclf.models.class_names import PUBLISHED

PAGE = "https://docs.ultralytics.com/models/"
# Read by ultralytics once, as it is imported.
QUIET = {
    "YOLO_VERBOSE": "false",
    "YOLO_AUTOINSTALL": "false",  # a missing package is ours to report, not its to install
    "YOLO_OFFLINE": "true",  # no usage reports, and no look-up of names that may take long where there is no internet
    "ULTRALYTICS_SAFE_LOAD": "true",  # a .pt file is a pickle: build known classes only, run no code from it
}


def load_detector(weights: str, device: str = "cpu") -> Any:
    """An `ultralytics.YOLO` from a file, an exported model's folder, or a published name, ready for that device.

    A published name is looked for in the working folder and in the cache, then downloaded into the cache.
    A .pt file is a pickle, which may run code as it is loaded; ultralytics (from 8.4) is asked to refuse that, so a
    checkpoint with classes of its own is refused too, unless ULTRALYTICS_SAFE_LOAD=false says that it is trusted.
    Raises UsageError when there is no such model, it cannot be downloaded, or it is none.
    """
    path = find_weights(weights)
    ultralytics = _import_quietly()
    if not path.exists():
        _download(path, ultralytics)
    try:
        with _undisturbed():
            model = ultralytics.YOLO(str(path), task=None if path.suffix == ".pt" else _task(path))
            names = model.names
            if model.task in ("detect", "segment"):  # the first prediction builds the network: now, not amid frames
                model.predict(np.zeros((32, 32, 3), np.uint8), device=device, verbose=False)
    except Exception as error:  # whatever torch, OpenVINO or ONNX Runtime raise on a file that is no model
        raise UsageError(f"{weights} is not a detector that ultralytics can load: {_reason(error)}") from None
    if model.task not in ("detect", "segment") or not names:
        raise UsageError(f"{weights} is a {model.task} model; detection needs one for detect or segment")
    return model


def to_openvino(model: Any, path: Path) -> None:
    """Convert an `ultralytics.YOLO` for pictures of all sizes: (N, height, width, 3) uint8 BGR, sides by its stride.

    Raises whatever torch or OpenVINO raise on an operation they cannot convert.
    """
    from copy import deepcopy

    import torch
    from ultralytics.nn.modules import DFL, Detect

    from vidclf.models.exporting import convert
    from vidclf.models.runners import import_openvino

    ov = import_openvino()
    with _undisturbed():
        network = deepcopy(model.model).cpu().float().eval().fuse(verbose=False)
        for module in network.modules():
            if isinstance(module, Detect):  # and those derived from it: what ultralytics' own exporter sets
                module.export, module.dynamic, module.format = True, True, "openvino"
                if isinstance(module.dfl, DFL):
                    module.dfl.forward = partial(expected_distance, module.dfl)
        converted = convert(network, torch.zeros(1, 3, 64, 96), [-1, 3, -1, -1])
    steps = ov.preprocess.PrePostProcessor(converted)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(
        ov.preprocess.ColorFormat.BGR
    )
    steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(ov.preprocess.ColorFormat.RGB).scale(
        255.0
    )
    steps.input().model().set_layout(ov.Layout("NCHW"))
    ov.save_model(steps.build(), path, compress_to_fp16=False)


def expected_distance(dfl: Any, x: Any) -> Any:
    """What ultralytics' DFL makes of (N, 4 * bins, anchors): each side's mean distance, (N, 4, anchors), in bins.

    It takes the mean by a convolution, which OpenVINO does in 16 bits when the network is, and the softmax before it,
    too; a plain sum stays in 32. With YOLO11n on PETS09, boxes in bf16 are 0.06 instead of 0.08 pixels off.
    """
    count, _, anchors = x.shape
    return (x.view(count, 4, dfl.c1, anchors).softmax(2) * dfl.conv.weight.view(1, 1, -1, 1)).sum(2)


def keep_boxes_exact(network: Any) -> bool:
    """Have the head that measures boxes compute in 32 bits, whatever `torch.autocast` asks of the rest.

    In bfloat16 alone, boxes of YOLO11n on PETS09 are 0.83 pixels off on average; so, 0.05.
    False, and nothing done, where there is no such head.
    """
    import torch
    from ultralytics.nn.modules import Detect

    def exactly(forward: Any, features: Any, *more: Any) -> Any:
        with torch.autocast(features[0].device.type, enabled=False):
            return forward([feature.float() for feature in features], *more)

    heads = [module for module in network.modules() if isinstance(module, Detect)]
    for head in heads:
        head.forward = partial(exactly, head.forward)
    return bool(heads)


def export(model: Any, kind: str, image_size: int, folder: Path) -> None:
    """Have ultralytics export an `ultralytics.YOLO` as "onnx" or "engine" (TensorRT), to `folder`/model.KIND."""
    import shutil

    source = folder / "model.pt"
    shutil.copyfile(model.ckpt_path, source)  # it writes beside the file it reads
    with _undisturbed():
        type(model)(str(source)).export(format=kind, imgsz=image_size, verbose=False)
    source.unlink()
    if not (folder / f"model.{kind}").is_file():
        raise RuntimeError(f"ultralytics exported no model.{kind}")


def find_weights(weights: str) -> Path:
    """Where the weights lie, or where a published name's would be downloaded to; UsageError for anything else."""
    path = Path(weights)
    if path.exists():
        return path
    if PUBLISHED.fullmatch(weights):
        name = f"{weights.removesuffix('.pt')}.pt"
        return Path(name) if Path(name).is_file() else cache_folder() / name
    examples = "such as yolo11n or yolo11s-seg"
    raise UsageError(f"no detector weights {weights!r}: no such file, and no name ultralytics publishes, {examples}")


def _import_quietly() -> Any:
    if "ultralytics" not in sys.modules:
        import torch  # noqa: F401 - before ultralytics, which would have it start with one thread

        with _undisturbed():
            os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
            try:
                import ultralytics
            except ModuleNotFoundError as error:
                raise UsageError(f"the stage yolo needs ultralytics (pip install ultralytics): {error}") from None
            ultralytics.utils.LOGGER.setLevel(logging.ERROR)
    import ultralytics

    _wait_for_boxes()
    return ultralytics


def _wait_for_boxes() -> None:
    """Have ultralytics sort out the boxes of a whole batch, however long it takes.

    It gives up after about two seconds and leaves the rest of the batch without boxes, with no more than a warning:
    on a busy machine frames lost all their people.
    """
    from ultralytics.utils import nms

    if not isinstance(nms.non_max_suppression, partial):
        nms.non_max_suppression = partial(nms.non_max_suppression, max_time_img=3600.0)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put back what ultralytics changes for the whole process: threads, the environment, how numbers are printed."""
    import torch

    environment, printing = dict(os.environ), np.get_printoptions()
    threads = cv2.getNumThreads(), torch.get_num_threads()
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
        np.set_printoptions(**printing)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _download(path: Path, ultralytics: Any) -> None:
    """Into a folder beside it first: `path` is complete or not there, and of several processes one downloads."""
    from filelock import FileLock

    advice = f"download {path.name} from {PAGE} on another machine and name the file (--detector-weights FILE)"
    if not ultralytics.utils.is_online():
        raise UsageError(f"{path.name} was not found locally, and there is no internet connection: {advice}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(path.with_name(f".{path.name}.lock")),
            TemporaryDirectory(dir=path.parent, prefix=".downloading-") as folder,
        ):
            if not path.is_file():
                part = Path(folder) / path.name
                ultralytics.utils.downloads.attempt_download_asset(part)
                if not part.is_file():
                    raise FileNotFoundError("it is not among ultralytics' published files")
                part.replace(path)
    except Exception as error:
        raise UsageError(f"{path.name} could not be downloaded ({_reason(error)}): {advice}") from None


def _task(path: Path) -> str | None:
    """What an exported model is for, by its own metadata; ultralytics would guess, and say so."""
    metadata = path / "metadata.yaml"
    if not metadata.is_file():
        return "segment" if "seg" in path.stem else "detect"
    import yaml

    return str(yaml.safe_load(metadata.read_text(encoding="utf-8")).get("task", "detect"))


def _reason(error: Exception) -> str:
    """The error in one line of bearable length, without the prefix ultralytics shouts."""
    text = re.sub(r"^ERROR\W+", "", " ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"
