"""Detects objects in pictures: an ultralytics model whose network runs on the fastest runtime.

The letterbox before the network and the selection of boxes after it are the same on every runtime, and the same as
ultralytics'. On OpenVINO and ONNX Runtime, neither ultralytics nor torch is imported once the network is in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from vidclf.errors import UsageError, VidclfError, one_line
from vidclf.models.backends import check_available, check_place, fastest, is_installed
from vidclf.models.device import choose_devices, torch_threads
from vidclf.models.exported_detector import ExportedDetector, export_to_tensorrt
from vidclf.models.letterbox import Letterbox
from vidclf.models.networks import OnnxNetwork, OpenVinoNetwork, Outputs, TorchNetwork
from vidclf.models.onnx_detector import converted_to_onnx
from vidclf.models.onnx_runtime import ProviderError
from vidclf.models.openvino_detector import converted_to_openvino, exported
from vidclf.models.parallel import MOST_AT_ONCE, Executor, pictures_at_once, pool_for_torch
from vidclf.models.selection import Found, Selection, corners
from vidclf.models.ultralytics_model import fetch_weights, find_weights, load_detector

log = logging.getLogger(__name__)


def open_detector(
    weights: str, device: str, backend: str, precision: str, image_size: int
) -> Detector | ExportedDetector:
    """The detector for this file, machine and options; raises UsageError if there is none."""
    path = find_weights(weights)
    if device == "auto" and path.is_dir() and any(path.glob("*.xml")):
        device = "cpu"  # OpenVINO would run there in any case, and with ultralytics one picture at a time
    devices = choose_devices(device)
    is_cpu = devices == ["cpu"]
    if path.suffix != ".pt":
        if backend != "auto":
            raise UsageError(f"{weights} is an exported model with its own runtime; --backend is only for .pt files")
        network = exported(path, precision) if path.is_dir() and is_cpu and is_installed("openvino") else None
        if network:
            check_available(precision, "openvino")
        return Detector(weights, image_size, network) if network else ExportedDetector(weights, devices[0], image_size)

    def load_torch() -> list[TorchNetwork]:
        return [TorchNetwork(load_detector(weights, device), device, precision) for device in devices]

    if backend == "auto":
        backend = fastest(["openvino", "torch"], is_cpu) or "torch"
    check_place(backend, is_cpu, device)
    check_available(precision, backend)
    compiled = None
    if backend != "torch":
        try:
            path = fetch_weights(weights)
            if backend == "tensorrt":
                return export_to_tensorrt(path, devices[0], precision, image_size)
            is_onnx = backend == "onnx"
            compiled = converted_to_onnx(path, devices[0]) if is_onnx else converted_to_openvino(path, precision)
        except Exception as error:
            if isinstance(error, UsageError) and not isinstance(error, ProviderError):  # it is not a model
                raise
            _warn(weights, backend, error)
    return Detector(weights, image_size, compiled, load_torch)


class Detector:
    """A detector whose network we run ourselves, for pictures of all sizes, any number of one size at once.

    weights: their name, for messages. image_size: pixels of the longer side that the network sees.
    compiled: its network in another runtime than torch. load_torch: loads it in torch, for the CPU or for each GPU,
    which then share each batch; called if there is no other, or, with one warning, if that fails or disagrees with
    torch.
    """

    def __init__(
        self,
        weights: str,
        image_size: int,
        compiled: OpenVinoNetwork | OnnxNetwork | None,
        load_torch: Callable[[], list[TorchNetwork]] | None = None,
    ):
        self._weights, self._compiled, self._load_torch = weights, compiled, load_torch
        self._torch: list[TorchNetwork] = []
        self._pool: Executor | None = None
        if compiled is None:
            self._use_torch()
        self._spec = spec = (compiled or self._torch[0]).spec
        # The next multiple of the stride, as ultralytics' check_imgsz does.
        side = -(-image_size // spec.stride) * spec.stride
        self._letterbox = Letterbox(spec.side or side, spec.side or spec.stride, spec.stretches)

    @property
    def names(self) -> dict[int, str]:
        """The classes by number."""
        return self._spec.names

    @property
    def most(self) -> int:
        """Pictures in one batch.

        In torch on a CPU, a few: the data between the layers of more would not fit its caches.
        """
        if self._compiled is not None:
            return self._compiled.most
        return MOST_AT_ONCE if self._pool else 1024

    @property
    def most_under_way(self) -> int:
        """Pictures that may be under way when `start` is called again, so that the network never waits.

        In OpenVINO and on a GPU, the network works on the next pictures while boxes are made of some. In torch on a
        CPU, pictures are done when `start` returns, because two of different sizes in one network at a time would get
        wrong boxes: ultralytics' head keeps the places of the last picture's anchors. A GPU takes one after the other.
        """
        if self._compiled is not None:
            return self._compiled.most_under_way
        return 2048 if self.on_gpu else 1

    @property
    def on_gpu(self) -> bool:
        """Whether it runs on GPUs, which take batches of any size, and the next one while one is under way."""
        return self._compiled is None and self._pool is None

    @property
    def name(self) -> str:
        """The runtime and precision, such as "openvino bf16"."""
        return (self._compiled or self._torch[0]).name

    def start(self, images: list[np.ndarray], which: Selection, several: bool = False) -> Callable[[], list[Found]]:
        """Begin to search pictures of one size, each (height, width, 3) uint8 BGR.

        several: others may come before these are done, as they do unless there is only one camera.
        The function that is returned waits, and returns the objects in each picture.
        """
        boxed = [self._letterbox.fit(image) for image in images]
        height, width = images[0].shape[:2]

        def select(outputs: list[Outputs]) -> list[Found]:
            return [self._select(which, width, height, *each) for each in outputs]

        if self._compiled is None and self.on_gpu:
            in_torch = self._start_torch(boxed, which.confidence)
            return lambda: select(in_torch())
        if self._compiled is None:
            found = select(self._in_torch(boxed, which.confidence))
            return lambda: found
        try:
            outputs = self._compiled.start(boxed, which.confidence, several)
        except Exception as error:
            self._fall_back(error)
            return self.start(images, which)

        def finish() -> list[Found]:
            try:
                return select(outputs())
            except Exception as error:
                if self._compiled is not None:  # it was, until a batch before this one went wrong
                    self._fall_back(error)
                return select(self._in_torch(boxed, which.confidence))

        return finish

    def _select(
        self, which: Selection, width: int, height: int, boxes: np.ndarray, masks: np.ndarray | None = None
    ) -> Found:
        """The objects in one picture, from its outputs."""
        if self._spec.nms_free:
            found = which.without_nms(boxes, masks)
        else:
            found = which.with_nms(boxes, self._spec.classes_in(boxes), masks)
        if self._spec.stretches:
            found = found._replace(boxes=corners(found.boxes))
        return found._replace(boxes=self._letterbox.boxes_in_picture(found.boxes, width, height))

    def _in_torch(self, boxed: list[np.ndarray], confidence: float) -> list[Outputs]:
        with torch_threads("detector"):
            return self._start_torch(boxed, confidence)()

    def _start_torch(self, boxed: list[np.ndarray], confidence: float) -> Callable[[], list[Outputs]]:
        batch = boxed[0][None] if len(boxed) == 1 else np.stack(boxed)
        networks = self._torch * pictures_at_once() if self._pool else self._torch
        parts = np.array_split(batch, min(len(networks), len(batch)))

        def start(network: TorchNetwork, part: np.ndarray) -> Callable[[], list[np.ndarray]]:
            return network.start(part, confidence)

        # One picture alone gets all threads; GPUs run by themselves, all at once.
        at_once = self._pool.map if self._pool and len(parts) > 1 else map
        started = list(at_once(start, networks, parts))
        return lambda: [each for finish in started for each in zip(*finish(), strict=True)]

    def _fall_back(self, error: Exception) -> None:
        runtime = self.name.partition(" ")[0]
        if self._load_torch is None:
            raise VidclfError(f"{self._weights} does not run on {runtime}: {one_line(error, 200)}") from error
        _warn(self._weights, runtime, error)
        self._compiled = None
        self._use_torch()

    def _use_torch(self) -> None:
        assert self._load_torch is not None
        self._torch = self._load_torch()
        self._pool = pool_for_torch() if self._torch[0].is_on_cpu else None


def _warn(weights: str, backend: str, error: Exception) -> None:
    log.warning("%s does not run on %s, using torch instead: %s", weights, backend, one_line(error, 200))
