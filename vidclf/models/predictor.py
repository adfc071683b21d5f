"""Classifies crops in the runtime that suits the machine, compared with torch, which is the fallback."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from vidclf.errors import UsageError, VidclfError, one_line
from vidclf.models import checkpoint, exported
from vidclf.models.backends import check_backend, check_precision, choose_backend, choose_precision, runs_on_cuda
from vidclf.models.cache import cached, forget
from vidclf.models.device import choose_devices
from vidclf.models.onnx_runtime import ProviderError
from vidclf.models.runners import OnnxRunner, OpenVinoRunner, Runner, TorchRunner
from vidclf.preprocess import Preprocess, stack_crops

log = logging.getLogger(__name__)

NETWORK = {"openvino": "network.xml", "onnx": "network.onnx"}  # the network in a folder of the cache
LAYOUT = 2  # version of the files in the cache; another number makes them again
# Maximum difference of a probability from torch's in 32 bits. Measured with the shipped weights on Fashion-MNIST's test
# set: 3e-6 in f32; in bf16 at most 0.07, with a median of 2e-5, and 99.93 % of the labels the same.
TOLERANCE = {"f32": 1e-3, "f16": 0.1, "bf16": 0.1}


class Predictor:
    """(N, classes) calibrated probabilities for crops, by the best available backend.

    For a runtime other than torch, a checkpoint is converted once, into the cache, together with torch's outputs for
    some test patterns. Each start compares the runtime's outputs with those, before the first crop, without torch. If
    anything goes wrong, one warning is logged, and torch is used instead.
    threads: of OpenVINO, by default as many as suit a stage of a pipeline.
    Raises UsageError for a file that cannot be run at all.
    """

    def __init__(
        self,
        weights: str,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ):
        self._threads = threads
        self.path = checkpoint.find(weights)
        check_backend(backend, self.path)
        check_precision(precision)
        header = checkpoint.read_header(self.path)
        self.labels: tuple[str, ...] = tuple(header["labels"])
        self.preprocess = Preprocess.from_dict(header["preprocess"])
        self.temperature = float(header["temperature"])
        is_exported = self.path.suffix.lower() in exported.READERS
        self._can_fall_back = not is_exported
        self.device = choose_devices(device)[-1]  # of several, the detector waits for the first
        if device == "auto" and self.device != "cpu" and not runs_on_cuda(self.path):
            self.device = "cpu"
        self._backend = choose_backend(backend, self.device, self.path)
        self._precision = choose_precision(precision, self._backend, self.device, is_exported)
        try:
            self._runner = self._open()
        except Exception as error:
            self._fall_back(error)
        if is_exported:
            self._check_fit()

    @property
    def name(self) -> str:
        """The runtime and precision, such as "openvino bf16"."""
        return self._runner.name

    @property
    def on_torch(self) -> bool:
        """Whether it runs on torch."""
        return self._backend == "torch"

    def __call__(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Crops as `preprocess.crop_picture` makes them -> (N, classes) float32 calibrated probabilities."""
        return self.run(stack_crops(crops))

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(N, channels, size, size) uint8 -> (N, classes) float32 calibrated probabilities."""
        return softmax(self.logits(batch), self.temperature)

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """(N, channels, size, size) uint8 -> (N, classes) finite float32 logits, before the temperature."""
        try:
            logits = self._runner(batch)
        except Exception as error:
            self._fall_back(error)
            logits = self._runner(batch)
        if not np.isfinite(logits).all() and self._precision == "f16" and self._can_fall_back:
            self._use_torch("f32", "has values that 16-bit floats cannot hold, using torch in 32 bits instead")
            logits = self._runner(batch)
        if not np.isfinite(logits).all():
            raise VidclfError(f"{self.path}: its outputs on {self.name} are not finite; damaged weights?")
        return logits

    def _check_fit(self) -> None:
        """Raise UsageError if the network in an exported file is not that of its header: only a pass can tell."""
        size, channels = self.preprocess.format
        try:
            outputs = self._runner(patterns(self.preprocess, 2)).shape
        except Exception as error:  # each runtime has its own
            reason = one_line(error, 200)
            crops = f"crops of size {size} and channels {channels}"
            raise UsageError(
                f"{self.path}: its network cannot take {crops}, which its header names ({reason})"
            ) from None
        if outputs != (2, len(self.labels)):
            found = f"{outputs[1]} outputs" if len(outputs) == 2 else f"outputs of shape {outputs}"
            raise UsageError(f"{self.path}: its header names {len(self.labels)} labels, but its network has {found}")

    def _fall_back(self, error: Exception) -> None:
        """Continue in torch, or raise the error if that is not possible."""
        if not self._can_fall_back or self._backend == "torch":
            raise error
        reason = one_line(error)
        precision = choose_precision("auto", "torch", self.device, exported=False)
        self._use_torch(precision, f"does not run on {self._backend}, using torch instead: {reason}")

    def _use_torch(self, precision: str, why: str) -> None:
        """Continue in torch; `why`, after the name of the file, is logged."""
        log.warning("%s %s", self.path.name, why)
        self._backend, self._precision = "torch", precision
        self._runner = TorchRunner(self.path, self.device, precision)

    def _open(self) -> Runner:
        if self._backend == "torch":
            return TorchRunner(self.path, self.device, self._precision)
        if not self._can_fall_back:  # exported: nothing to convert, and nothing to compare with
            return self._start(self.path)
        kind = "openvino" if self._backend == "openvino" else "onnx"
        if find_spec(kind) is None:  # openvino is always there
            raise UsageError(f"its export needs {kind}, which is not installed: pip install onnx onnxscript")
        folder = cached(self.path, f"{kind}-{version(kind)}-{LAYOUT}", lambda folder: convert(self.path, kind, folder))
        try:
            runner = self._start(folder / NETWORK[kind])
            answers = np.load(folder / "answers.npy", allow_pickle=False)
            difference = np.abs(softmax(runner(patterns(self.preprocess)), self.temperature) - answers).max()
            # A GPU may multiply 32-bit floats as TF32, which is as exact as f16.
            tolerance = TOLERANCE[self._precision if self.device == "cpu" else "f16"]
            if not difference <= tolerance:  # `not`, so that NaN counts as different
                raise UsageError(f"its probabilities differ from torch's by {difference:.2g}")
        except Exception as error:
            if not isinstance(error, ProviderError):
                forget(folder)  # probably damaged: the next run makes it again
            raise
        log.debug("%s runs on %s, within %.1g of torch", self.path.name, runner.name, difference)
        return runner

    def _start(self, file: Path) -> Runner:
        if self._backend == "openvino":
            return OpenVinoRunner(file, self._precision, self._threads)
        return OnnxRunner(file, self.device, self._precision, tensorrt=self._backend == "tensorrt")


def convert(weights: Path, kind: str, folder: Path) -> None:
    """Fill a folder of the cache: a checkpoint in another format, and torch's probabilities for `patterns`."""
    import torch

    from vidclf.models.exporting import export

    model = checkpoint.load(weights)
    with torch.inference_mode():
        answers = model.probabilities(torch.from_numpy(patterns(model.preprocess)))
    export(model, checkpoint.read_header(weights), kind, folder / NETWORK[kind])
    np.save(folder / "answers.npy", answers.numpy())


def patterns(policy: Preprocess, count: int = 64) -> np.ndarray:
    """(count, channels, size, size) uint8: random pictures of soft and hard patches, always the same."""
    dice = np.random.default_rng(0)
    cells = dice.integers(0, 256, (count, policy.channels, 7, 7), np.uint8)
    cells[::2] = np.where(cells[::2] < 128, 0, cells[::2])  # every second one has a black border, as crops do
    places = np.arange(policy.size) * 7 // policy.size
    return np.ascontiguousarray(cells[:, :, places[:, None], places])


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """(N, classes) float32 probabilities; NaN where logits are not finite."""
    with np.errstate(all="ignore"):  # whoever calls it checks the result
        scaled = logits.astype(np.float32) / temperature
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
