"""Detectors that ultralytics has exported, and runs: files of a user, and engines for TensorRT, from the cache."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.models.backends import check_exporters
from vidclf.models.cache import cached, forget
from vidclf.models.device import torch_threads
from vidclf.models.selection import Found, Selection
from vidclf.models.ultralytics_model import export, load_detector

log = logging.getLogger(__name__)

ENGINE = "model.engine"
LAYOUT = 11  # version of the engines in the cache; another number makes them again


def export_to_tensorrt(path: Path, device: str, precision: str, image_size: int) -> ExportedDetector:
    """A .pt model as exported by ultralytics for TensorRT, from the cache; raises any error of it."""
    import torch

    made_by = f"tensorrt-{image_size}-{version('tensorrt')}-{version('ultralytics')}-{LAYOUT}"
    made_by += "-" + re.sub(r"\W+", "-", f"{torch.cuda.get_device_name(device)} {precision}")  # for one kind of GPU

    def make(folder: Path) -> None:
        _check_exporters(precision)
        model = load_detector(str(path), device)
        export(model, "engine", folder / ENGINE, imgsz=image_size, device=device, half=precision != "f32")
        (folder / "task").write_text(model.task)

    folder = cached(path, made_by, make)
    try:
        task = (folder / "task").read_text()
        return ExportedDetector(str(folder / ENGINE), device, image_size, task)
    except Exception as error:
        if isinstance(error, UsageError) or not isinstance(error, VidclfError):  # not a GPU that is full for a moment
            forget(folder)  # probably damaged: the next run makes it again
        raise RuntimeError(str(error)) from error


def _check_exporters(precision: str) -> None:
    needed = {"onnx": "onnx"}
    if precision != "f32" and int(version("tensorrt").partition(".")[0]) >= 11:
        # From TensorRT 11 on, the network itself has to be in 16 bits; see ultralytics' utils/export/engine.py.
        needed["modelopt"] = '"tensorrt<11", or "nvidia-modelopt[onnx]>=0.44"'
    check_exporters(needed)


class ExportedDetector:
    """A model that was exported for a runtime: ultralytics runs it, one picture at a time.

    task: detect or segment, if it is known.
    """

    most = 1  # its batch size is fixed, usually one
    most_under_way = 1
    on_gpu = False  # it may be, but its pictures are done when `start` returns

    def __init__(self, weights: str, device: str, image_size: int, task: str | None = None):
        self._model = load_detector(weights, device, task)
        self.names: dict[int, str] = self._model.names
        self._device, self._size = device, image_size
        session = getattr(self._model.predictor.model, "session", None)  # of ONNX Runtime
        if device != "cpu" and session and session.get_providers() == ["CPUExecutionProvider"]:
            log.warning("%s runs on the CPU: ONNX Runtime cannot use the GPU (pip install onnxruntime-gpu)", weights)

    def start(self, images: list[np.ndarray], which: Selection, several: bool = False) -> Callable[[], list[Found]]:
        """Like `Detector`'s, but it does all the work before it returns."""
        with torch_threads("detector"):
            results = self._model.predict(
                images,
                imgsz=self._size,
                device=self._device,
                conf=which.confidence,
                iou=which.iou,
                classes=which.kinds,
                max_det=which.most,
                verbose=False,
            )
        found = [_found(result) for result in results]
        return lambda: found


def _found(result: Any) -> Found:
    """The objects in an `ultralytics.engine.results.Results`."""
    boxes = result.boxes.cpu().numpy()
    masks = None if result.masks is None else result.masks.data.cpu().numpy().astype(np.float32) - 0.5
    return Found(boxes.xyxy, boxes.conf, boxes.cls.astype(np.int64), masks)
