"""A classifier's network in each runtime, with the same interface: crops in, logits out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vidclf.errors import UsageError, one_line
from vidclf.files import hash_file
from vidclf.models import checkpoint
from vidclf.models.device import on_stream
from vidclf.models.exported import READERS, weights_of
from vidclf.models.onnx_runtime import onnx_session
from vidclf.models.openvino_runtime import openvino_core, openvino_settings
from vidclf.threads import threads


class Runner(Protocol):
    """Takes (N, channels, size, size) uint8, C-contiguous, and returns (N, classes) float32 logits."""

    name: str  # for messages, such as "openvino bf16"

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """One forward pass."""
        ...


class TorchRunner:
    """A checkpoint, or a TorchScript file, in torch.

    On a GPU: 16-bit floats and channels_last, which suit its convolutions; its own stream, so that it does not wait for
    the detector's work; and crops are copied from pinned memory while the CPU continues.
    """

    def __init__(self, weights: Path, device: str, precision: str):
        import torch

        if weights.suffix.lower() not in READERS:
            self._network: Any = checkpoint.load(weights, device)
            kinds = {"f16": torch.float16, "bf16": torch.bfloat16}
            if precision in kinds:
                kind = kinds[precision]
                self._network.network.to(kind)
                self._network.network.register_forward_pre_hook(lambda _, inputs: tuple(x.to(kind) for x in inputs))
        else:
            precision = "f32"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # torch.jit is deprecated, but this file needs it
                    with weights.open("rb") as file:  # by a name that is not ASCII, torch cannot read on Windows
                        self._network = torch.jit.load(file, map_location=device).eval()
            except Exception as error:  # torch raises whatever its parts do
                raise UsageError(f"{weights}: damaged ({one_line(error, 200)})") from None
        self.name = f"torch {precision} on {device}"
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.startswith("cuda") else None
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(device))  # until the weights are there

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode(), on_stream(self._stream):
            tensor = torch.from_numpy(crops)
            if self._stream is not None:
                tensor = tensor.pin_memory().to(self._device, non_blocking=True)
            return self._network(tensor).float().cpu().numpy()


class OpenVinoRunner:
    """An OpenVINO or ONNX file in OpenVINO's CPU plugin.

    Compiled for any batch size; and again, when first needed, for a batch of one, which is then twice as fast.
    count: threads, by default those of a classifier in a pipeline.
    """

    def __init__(self, weights: Path, precision: str, count: int | None = None):
        self.name = f"openvino {precision}"
        self._settings = openvino_settings(precision, count or threads("classifier"))
        if weights.suffix == ".xml":
            wanted = checkpoint.read_header(weights).get("bin")
            if wanted and wanted != f"sha256:{hash_file(weights_of(weights))}":
                raise UsageError(f"{weights}: the file {weights_of(weights).name} does not belong to it")
        try:
            self._network = openvino_core().read_model(str(weights))
            self._of_any = self._compile()
        except RuntimeError as error:
            raise UsageError(f"{weights}: OpenVINO cannot load it ({one_line(error, 200)})") from None
        self._of_one: Any = None

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        request = self._of_any
        if len(crops) == 1:
            if self._of_one is None:
                self._network.reshape(list(crops.shape))
                self._of_one = self._compile()
            request = self._of_one
        # The result is already a copy, because share_outputs is False by default: the next pass does not overwrite it.
        return request.infer([crops], share_inputs=True)[0]

    def _compile(self) -> Any:
        return openvino_core().compile_model(self._network, "CPU", self._settings).create_infer_request()


class OnnxRunner:
    """An ONNX file in ONNX Runtime: on the CPU, on CUDA, or on TensorRT, which compiles it for the GPU."""

    def __init__(self, weights: Path, device: str, precision: str, tensorrt: bool = False):
        self._session = onnx_session(weights, device, threads("classifier"), precision if tensorrt else None)
        self._input = self._session.get_inputs()[0].name
        self.name = f"tensorrt {precision} on {device}" if tensorrt else f"onnx on {device}"

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._input: crops})[0]
