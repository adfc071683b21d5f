"""A detector's network in torch and in OpenVINO: pictures in, the network's outputs out.

Each takes (N, height, width, 3) uint8 BGR, letterboxed, and returns a list with a tensor for each output, from which
ultralytics makes boxes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.files import hash_file
from vidclf.models.cache import cached, forget
from vidclf.models.device import is_bf16_faster
from vidclf.models.parallel import pictures_at_once
from vidclf.models.runners import openvino_core, openvino_precision, openvino_settings
from vidclf.models.ultralytics_model import keep_boxes_exact, to_openvino

log = logging.getLogger(__name__)

LAYOUT = 4  # version of the detectors in the cache; another number makes them again


class TorchNetwork:
    """The network in torch, as ultralytics has set it up (its `AutoBackend`, the module in its `model`).

    precision: f32, f16 or bf16; auto is f16 on a GPU, bf16 on a CPU that is faster with it. Boxes stay in 32 bits.
    On a GPU it has its own stream, so that it does not wait for the classifier's work. Pictures are copied from pinned
    memory, as bytes, while the CPU continues.
    """

    def __init__(self, network: Any, device: str, precision: str):
        import torch

        self._network, self._device = network, device
        self.is_on_cpu = not device.startswith("cuda")
        asked = precision
        if precision == "auto":
            precision = ("bf16" if is_bf16_faster() else "f32") if self.is_on_cpu else "f16"
        if precision != "f32" and not keep_boxes_exact(network.model):
            if asked != "auto":
                log.warning("this detector runs in f32, because its boxes would be too inaccurate in %s", asked)
            precision = "f32"
        self._autocast: dict[str, Any] = {
            "device_type": "cpu" if self.is_on_cpu else "cuda",
            "dtype": torch.float16 if precision == "f16" else torch.bfloat16,
            "enabled": precision != "f32",
        }
        self._stream = None if self.is_on_cpu else torch.cuda.Stream(device)
        if self._stream is not None:
            network.model.to(memory_format=torch.channels_last)
            self._stream.wait_stream(torch.cuda.current_stream(device))
        self.name = f"torch {precision} on {device}"

    def __call__(self, batch: np.ndarray) -> list[Any]:
        import torch

        # A stream of None changes nothing.
        with torch.inference_mode(), torch.cuda.stream(self._stream), torch.autocast(**self._autocast):
            pictures = torch.from_numpy(batch)
            if self._stream is not None:
                pictures = pictures.pin_memory().to(self._device, non_blocking=True)
            outputs = self._network(pictures.flip(-1).permute(0, 3, 1, 2).float() / 255)  # to RGB, planes first
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def convert(model: Any, folder: Path) -> None:
    """Fill a folder of the cache: the network in OpenVINO's format, and the hash of its weights."""
    to_openvino(model, folder / "network.xml")
    (folder / "sha256").write_text(hash_file(folder / "network.bin"))


class OpenVinoNetwork:
    """The network in OpenVINO's CPU plugin, converted once into the cache; it takes the bytes as they are.

    The first batch decides how the threads are used. If pictures come one by one, as from a camera, each gets all
    threads, which has the lowest latency. If several come at once, each gets a share of the threads: then no thread
    waits for the slowest one at every layer, which has the highest throughput.
    """

    def __init__(self, model: Any, precision: str):
        self.precision = openvino_precision() if precision == "auto" else precision
        self.name = f"openvino {self.precision}"
        self.streams = 0  # pictures computed at the same time; 0 before the first batch
        folder = cached(
            Path(model.ckpt_path),
            f"openvino-{version('openvino')}-{version('ultralytics')}-{LAYOUT}",
            lambda folder: convert(model, folder),
        )
        self.folder = folder
        try:
            if (folder / "sha256").read_text() != hash_file(folder / "network.bin"):
                raise RuntimeError("its weights in the cache were damaged")
            self._network = openvino_core().read_model(str(folder / "network.xml"))
        except (OSError, RuntimeError):
            forget(folder)  # the next run makes it again
            raise
        self._compiled: Any = None
        self._idle: list[Any] = []  # requests that are free to be used again

    def start(self, batch: np.ndarray) -> Callable[[], list[Any]]:
        """Begin one forward pass; the function that is returned waits for its outputs."""
        if self._compiled is None:
            self.streams = min(pictures_at_once(), len(batch))
            settings = openvino_settings(self.precision, "detector") | {"NUM_STREAMS": self.streams}
            self._compiled = openvino_core().compile_model(self._network, "CPU", settings)
        while len(self._idle) < len(batch):
            self._idle.append(self._compiled.create_infer_request())
        running = [self._idle.pop() for _ in batch]
        for request, picture in zip(running, batch, strict=True):
            request.start_async([picture[None]], share_inputs=True)
        return partial(self._finish, running)

    def _finish(self, running: list[Any]) -> list[Any]:
        import torch

        for request in running:
            request.wait()
        outputs = zip(*(request.results.values() for request in running), strict=True)
        copies = [torch.from_numpy(np.concatenate(pictures)) for pictures in outputs]
        self._idle += running
        return copies
