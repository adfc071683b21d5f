"""Detects objects in pictures: an ultralytics model whose network runs on the fastest runtime.

Only the network runs here: ultralytics makes the letterbox before it and selects the boxes after it, so the boxes are
the same on every runtime.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.errors import UsageError
from vidclf.models.backends import is_installed
from vidclf.models.cache import cached, forget
from vidclf.models.device import choose_devices
from vidclf.models.networks import LAYOUT, OpenVinoNetwork, TorchNetwork
from vidclf.models.parallel import MOST_AT_ONCE, pictures_at_once, pool_for_torch
from vidclf.models.ultralytics_model import export, find_weights, load_detector

log = logging.getLogger(__name__)

# Most that a score may differ from torch's in 32 bits. Measured with YOLO11n on PETS09: 4e-6 in f32, 0.08 in bf16.
TOLERANCE = {"f32": 0.01, "f16": 0.2, "bf16": 0.2}


def open_detector(weights: str, device: str, backend: str, precision: str, image_size: int) -> Detector | ReadyDetector:
    """The detector for this file, machine and options; raises UsageError if there is none."""
    path, devices = find_weights(weights), choose_devices(device)
    if path.suffix != ".pt":
        if backend != "auto":
            raise UsageError(f"{weights} is an exported model with its own runtime; --backend is only for .pt files")
        return ReadyDetector(weights, devices[0], image_size)
    if backend == "auto":
        backend = "openvino" if devices == ["cpu"] and is_installed("openvino") else "torch"
    if backend in ("onnx", "tensorrt"):
        return _exported(weights, devices[0], backend, precision, image_size)
    if backend == "openvino" and devices != ["cpu"]:
        raise UsageError(f"backend openvino runs on the CPU, not on {device}; add --device cpu")
    return Detector(weights, devices, backend, precision, image_size)


def _exported(weights: str, device: str, backend: str, precision: str, image_size: int) -> Detector | ReadyDetector:
    """A .pt model as exported by ultralytics, from the cache; on torch, with a warning, if that fails."""
    if backend == "tensorrt" and device == "cpu":
        raise UsageError("backend tensorrt needs a CUDA device, not the CPU")
    model = load_detector(weights, device)
    kind, package = {"onnx": ("onnx", "onnx"), "tensorrt": ("engine", "tensorrt")}[backend]
    try:
        made_by = f"{backend}-{image_size}-{version(package)}-{version('ultralytics')}-{LAYOUT}"
        options: dict[str, Any] = {}
        if backend == "tensorrt":  # made for one kind of GPU
            import torch

            options = {"device": device, "half": precision != "f32"}
            made_by += "-" + re.sub(r"\W+", "-", f"{torch.cuda.get_device_name(device)} {precision}")
        folder = cached(
            Path(model.ckpt_path), made_by, lambda folder: export(model, kind, image_size, folder, **options)
        )
        try:
            return ReadyDetector(str(folder / f"model.{kind}"), device, image_size)
        except Exception:
            forget(folder)  # probably damaged: the next run makes it again
            raise
    except Exception as error:
        _warn(weights, backend, error)
        return Detector(weights, [device], "torch", precision, image_size)


class ReadyDetector:
    """A model that was exported for a runtime: ultralytics runs it, one picture at a time."""

    most = 1  # its batch size is fixed, usually one
    most_under_way = 1

    def __init__(self, weights: str, device: str, image_size: int):
        self._model = load_detector(weights, device)
        self.names: dict[int, str] = self._model.names
        self._device, self._size = device, image_size

    def start(self, images: list[np.ndarray], **options: Any) -> Callable[[], list[Any]]:
        """Like `Detector`'s, but it does all the work before it returns."""
        found = self._model.predict(images, imgsz=self._size, device=self._device, verbose=False, **options)
        return lambda: found


class Detector:
    """A .pt model on torch or OpenVINO; one network for pictures of all sizes, any number of one size at once.

    weights: a file, or a name that ultralytics publishes. devices: cpu, or one or more of cuda:N, which then share
    each batch. image_size: pixels of the longer side that the network sees.
    OpenVINO's first output is compared with torch's. If they differ, or it fails, one warning is logged, and torch is
    used instead. Raises UsageError if the file is not a model.
    """

    def __init__(self, weights: str, devices: Sequence[str], backend: str, precision: str, image_size: int):
        self._models = [load_detector(weights, device) for device in devices]
        first = self._models[0]
        self.names: dict[int, str] = first.names
        self._predictor = first.predictor
        self._devices, self._precision = devices, precision
        # In 32 bits if OpenVINO is compared with it.
        self._torch = self._torch_networks("f32" if backend == "openvino" else precision)
        self._pool = pool_for_torch() if self._torch[0].is_on_cpu else None
        self._openvino: OpenVinoNetwork | None = None
        self._is_checked = False
        self._weights = weights
        if backend == "openvino":
            try:
                self._openvino = OpenVinoNetwork(first, precision)
            except Exception as error:
                self._fall_back(error)
        from ultralytics.data.augment import LetterBox
        from ultralytics.utils.checks import check_imgsz

        stride = int(self._predictor.model.stride)
        size = check_imgsz(image_size, stride=stride, min_dim=2)
        # RT-DETR's boxes are for a picture that was stretched to a square.
        stretches = getattr(self._predictor, "scale_fill", False)
        self._letterbox = LetterBox(size, auto=not stretches, scale_fill=stretches, stride=stride)

    @property
    def most(self) -> int:
        """Pictures in one batch.

        In OpenVINO, as many as it computes at the same time. In torch on a CPU, a few: the data between the layers of
        more would not fit its caches.
        """
        if self._openvino is not None:
            return self._openvino.streams or 1024
        return MOST_AT_ONCE if self._pool else 1024

    @property
    def most_under_way(self) -> int:
        """Pictures that may be under way when `start` is called again, so that the network never waits.

        Only in OpenVINO: while boxes are made of some pictures, it works on the next ones. torch's pictures are
        done when `start` returns, because two pictures of different sizes in one network at a time would get wrong
        boxes: ultralytics' head keeps the places of the last picture's anchors.
        """
        return 2 * self._openvino.streams if self._openvino is not None else 1

    @property
    def name(self) -> str:
        """The runtime and precision, such as "openvino bf16"."""
        return (self._openvino or self._torch[0]).name

    def start(self, images: list[np.ndarray], **options: Any) -> Callable[[], list[Any]]:
        """Begin to search pictures of one size, each (height, width, 3) uint8 BGR.

        options: ultralytics' own: conf, iou, classes, max_det.
        The function that is returned waits, and returns an `ultralytics.engine.results.Results` of each picture.
        """
        boxed = [self._letterbox(image=image) for image in images]
        batch = boxed[0][None] if len(boxed) == 1 else np.stack(boxed)
        network = self._openvino
        if network is None:
            return self._start_torch(batch, images, options)
        try:
            outputs = network.start(batch)
        except Exception as error:
            self._fall_back(error)
            return self._start_torch(batch, images, options)

        def finish() -> list[Any]:
            try:
                found = outputs()
                if self._openvino is not None:  # it was, until a batch before this one went wrong
                    return self._results(self._checked(found, batch), batch, images, options)
            except Exception as error:
                if self._openvino is not None:
                    self._fall_back(error)
            return self._start_torch(batch, images, options)()

        return finish

    def _start_torch(self, batch: np.ndarray, images: list[np.ndarray], options: Any) -> Callable[[], list[Any]]:
        networks = self._torch * pictures_at_once() if self._pool else self._torch
        parts = np.array_split(np.arange(len(batch)), min(len(networks), len(batch)))

        def run(network: TorchNetwork, part: np.ndarray) -> list[Any]:
            return network(batch[part])

        # One picture alone gets all threads; a GPU runs by itself.
        at_once = self._pool.map if self._pool and len(parts) > 1 else map
        outputs = list(at_once(run, networks, parts))
        return lambda: [
            result
            for found, part in zip(outputs, parts, strict=True)
            for result in self._results(found, batch[part], [images[i] for i in part], options)
        ]

    def _torch_networks(self, precision: str) -> list[TorchNetwork]:
        pairs = zip(self._models, self._devices, strict=True)
        return [TorchNetwork(model.predictor.model, device, precision) for model, device in pairs]

    def _fall_back(self, error: Exception) -> None:
        _warn(self._weights, "openvino", error)
        self._openvino, self._torch = None, self._torch_networks(self._precision)

    def _checked(self, outputs: list[Any], batch: np.ndarray) -> list[Any]:
        """OpenVINO's outputs; the first ones are compared with torch's, and UsageError is raised if they differ."""
        assert self._openvino is not None
        if not self._is_checked:
            self._is_checked = True
            answer = self._torch[0](batch[:1])[0]  # for a segmentation model a tuple with the mask prototypes
            wanted = (answer[0] if isinstance(answer, tuple) else answer).numpy()
            found = outputs[0][:1].numpy()
            scores = slice(4, 4 + len(self.names))
            difference = np.abs(wanted[:, scores] - found[:, scores]).max() if wanted.shape == found.shape else np.inf
            if not difference <= TOLERANCE[self._openvino.precision]:  # `not`, so that NaN counts as different
                forget(self._openvino.folder)  # probably damaged: the next run makes it again
                raise UsageError(f"its scores differ from torch's by {difference:.2g}")
            log.debug("%s runs on %s, within %.1g of torch", self._weights, self.name, difference)
        return outputs

    def _results(self, outputs: list[Any], batch: np.ndarray, images: list[np.ndarray], options: Any) -> list[Any]:
        import torch

        predictor = self._predictor
        for name, value in options.items():
            setattr(predictor.args, name, value)
        predictor.batch = ([""] * len(images), images, [""] * len(images))
        like = np.broadcast_to(np.uint8(0), (len(batch), 3, *batch.shape[1:3]))  # only its shape is used
        with torch.inference_mode():
            return predictor.postprocess(outputs[0] if len(outputs) == 1 else outputs, like, images)


def _warn(weights: str, backend: str, error: Exception) -> None:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    log.warning("%s does not run on %s, using torch instead: %s", weights, backend, reason)
