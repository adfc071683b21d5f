"""A detector's network in torch, OpenVINO and ONNX Runtime: letterboxed pictures in, outputs out.

Pictures: (height, width, 3) uint8 BGR.

The outputs are float32: boxes with scores, as `selection` takes them, without those below a confidence, and for a
segmentation model the masks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import cv2
import numpy as np

from vidclf.models import parity
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.device import is_bf16_faster, on_stream
from vidclf.models.openvino_runtime import openvino_core, openvino_precision, openvino_settings
from vidclf.models.parallel import MOST_AT_ONCE, pictures_at_once
from vidclf.models.ultralytics_model import keep_boxes_exact, spec_of
from vidclf.threads import threads

log = logging.getLogger(__name__)

Outputs = tuple[np.ndarray, ...]  # of a network for one picture: boxes, and masks of a segmentation model

MANY = 64  # pictures of another size in a row, after which the network is compiled for them, as long as 20 to 40 take


class TorchNetwork:
    """The network in torch, as ultralytics has set it up (its `AutoBackend`, the module in its `model`).

    precision: f32, f16 or bf16; auto is f16 on a GPU, bf16 on a CPU that is faster with it. Boxes stay in 32 bits.
    On a GPU it has its own stream, so that it does not wait for the classifier's work, and another one that fetches the
    outputs while it works on the next batch. Pictures are copied from pinned memory, as bytes, while the CPU continues.
    A batch is filled up to a power of two, as torch prepares, and keeps, something for every size. Boxes below every
    picture's confidence do not leave the GPU.
    """

    def __init__(self, model: Any, device: str, precision: str):
        import torch

        network = model.predictor.model
        self._network, self._device, self.spec = network, device, spec_of(model)
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
        self._fetching = None if self.is_on_cpu else torch.cuda.Stream(device)
        if self._stream is not None:
            network.model.to(memory_format=torch.channels_last)
            self._stream.wait_stream(torch.cuda.current_stream(device))
        self.name = f"torch {precision} on {device}"

    def start(self, batch: np.ndarray, confidence: float = -1.0) -> Callable[[], list[np.ndarray]]:
        """Begin one forward pass, on a CPU do all of it; the function that is returned waits for its outputs.

        batch: (N, height, width, 3); each output has N as its first axis.
        """
        import torch

        is_16_bit = self._autocast["enabled"]
        with torch.inference_mode(), on_stream(self._stream), torch.autocast(**self._autocast):
            pictures = torch.from_numpy(batch if self.is_on_cpu else _filled_up(batch))
            if self._stream is not None:
                pictures = pictures.pin_memory().to(self._device, non_blocking=True)
            outputs = self._network(pictures.flip(-1).permute(0, 3, 1, 2).float() / 255)  # to RGB, planes first
            outputs = [output[: len(batch)] for output in _flat(outputs)[: 1 + self.spec.masks]]
            done = self._stream.record_event() if self._stream is not None else None

        def finish() -> list[np.ndarray]:
            with torch.inference_mode(), on_stream(self._fetching):
                if self._fetching is not None and done is not None:
                    self._fetching.wait_event(done)
                if is_16_bit and not all(output.sum(dtype=torch.float32).isfinite() for output in outputs):
                    self._use_32_bits()
                    return self.start(batch, confidence)()
                boxes, *masks = outputs
                if not self.spec.nms_free:
                    boxes = boxes[:, :, (self.spec.scores_in(boxes).amax(dim=1) > confidence).any(dim=0)]
                return [output.float().cpu().numpy() for output in (boxes, *masks)]

        return finish

    def _use_32_bits(self) -> None:
        """Some GPUs (GTX 16xx) return NaN in 16 bits, and a network may have values that f16 cannot hold."""
        if self._autocast["enabled"]:  # it may have been another batch
            log.warning("the detector's outputs are not finite in 16 bits, using 32 bits instead")
            self._autocast["enabled"] = False
            self.name = f"torch f32 on {self._device}"


def _filled_up(batch: np.ndarray) -> np.ndarray:
    """The batch with copies of its last picture, up to a power of two."""
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    return np.concatenate([batch, batch[-1:].repeat(missing, axis=0)]) if missing else batch


def _flat(outputs: Any) -> list[Any]:
    """The tensors of a network's outputs: ultralytics puts a segmentation model's into a tuple of their own."""
    if not isinstance(outputs, (list, tuple)):
        return [outputs]
    return [tensor for output in outputs for tensor in _flat(output)]


class OpenVinoNetwork:
    """A network in OpenVINO's CPU plugin, which takes the bytes as they are.

    network: an `openvino.Model`. answers: torch's for `parity.pattern`; it is compared with them before the first
    picture, and raises UsageError if it differs.
    If a single camera's pictures come one by one, each gets all threads, which has the lowest latency. If there are
    several, each gets a share of the threads: then no thread waits for the slowest one at every layer, which has the
    highest throughput.
    The network is compiled for the size of the first picture, and again when many of another size have come in a row.
    The others run on one for all sizes, which takes 1.13 times as long (YOLO11n in bf16 on a Xeon with AMX), as it has
    to copy what it joins and splits.
    """

    def __init__(self, network: Any, spec: DetectorSpec, precision: str, answers: np.ndarray | None = None):
        self.spec = spec
        self.precision = openvino_precision() if precision == "auto" else precision
        self.name = f"openvino {self.precision}"
        self.streams = 0  # pictures computed at the same time; 0 before the first
        self._most_streams = pictures_at_once()  # asks the system, so not for every picture
        self._network, self._answers = network, answers
        self._usual: tuple[int, ...] = ()  # the shape of most pictures
        self._unusual = 0  # pictures of other shapes in a row

    def start(
        self, pictures: Sequence[np.ndarray], confidence: float = -1.0, several: bool = False
    ) -> Callable[[], list[Outputs]]:
        """Begin to work on pictures of one size; the function that is returned waits for their outputs.

        several: others may come before they are done.
        """
        streams = self._most_streams if several else 1
        if streams > self.streams:
            is_first, self.streams = not self.streams, streams
            self._forget("_of_any", "_of_usual")
            if is_first and self._answers is not None:
                (outputs,) = self._begin(self._of_any, [parity.pattern(self.spec.stride)], -1.0)()
                parity.check(outputs[0][None], self._answers, self.spec, self.precision)
        self._unusual = self._unusual + len(pictures) if pictures[0].shape != self._usual else 0
        if self._unusual > MANY or not self._usual:
            self._usual, self._unusual = pictures[0].shape, 0
            self._forget("_of_usual")
        return self._begin(self._of_usual if pictures[0].shape == self._usual else self._of_any, pictures, confidence)

    def _begin(
        self, requests: Requests, pictures: Sequence[np.ndarray], confidence: float
    ) -> Callable[[], list[Outputs]]:
        if len(self._network.inputs) > 1:  # the network itself leaves out the boxes below a confidence
            return requests.start(pictures, _loose_logit(confidence))
        return requests.start(pictures, choose=partial(_surer_than, self.spec, confidence))

    def _forget(self, *compiled: str) -> None:
        """Compile them again when they are needed; pictures under way in the old ones are not disturbed."""
        for name in compiled:
            self.__dict__.pop(name, None)

    @property
    def most(self) -> int:
        """Pictures in one batch: as many as it computes at the same time."""
        return self.streams or 1024

    @property
    def most_under_way(self) -> int:
        """Pictures under way: it works on the next ones while boxes are made of some."""
        return 2 * self.streams

    @cached_property
    def _of_any(self) -> Requests:
        return self._compile(self._network)

    @cached_property
    def _of_usual(self) -> Requests:
        network = self._network.clone()
        network.reshape({0: [1, *self._usual]})
        return self._compile(network)

    def _compile(self, network: Any) -> Requests:
        settings = openvino_settings(self.precision, threads("detector")) | {"NUM_STREAMS": self.streams}
        return Requests(openvino_core().compile_model(network, "CPU", settings))


class Requests:
    """The requests to a compiled network, an `openvino.CompiledModel`: one for each picture that is under way."""

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self._idle: list[Any] = []

    def start(
        self,
        pictures: Sequence[np.ndarray],
        *more: np.ndarray,
        choose: Callable[[np.ndarray], np.ndarray] = np.copy,
    ) -> Callable[[], list[Outputs]]:
        """Begin to work on pictures; the function that is returned waits for their outputs.

        more: the network's other inputs. choose: makes a copy of what is wanted of a picture's boxes: all of them may
        be megabytes, of which few are.
        """
        while len(self._idle) < len(pictures):
            self._idle.append(self._compiled.create_infer_request())
        running = [self._idle.pop() for _ in pictures]
        for request, picture in zip(running, pictures, strict=True):
            request.start_async([picture[None], *more], share_inputs=True)
        return partial(self._finish, running, choose)

    def _finish(self, running: list[Any], choose: Callable[[np.ndarray], np.ndarray]) -> list[Outputs]:
        found = []
        for request in running:
            request.wait()
            # The request's own memory, which the next picture overwrites.
            boxes, *masks = (request.get_output_tensor(n).data[0] for n in range(len(self._compiled.outputs)))
            found.append((choose(boxes), *(mask.copy() for mask in masks)))
        self._idle += running
        return found


class OnnxNetwork:
    """A network in ONNX Runtime, in 32 bits, on the CPU or on a GPU; its work is done when `start` returns.

    session: of a network that takes (N, 3, height, width) float32 RGB from 0 to 1, as ultralytics exports it. answers:
    torch's for `parity.pattern`; it is compared with them before the first picture, and raises UsageError if it
    differs.
    """

    most = MOST_AT_ONCE  # in one batch
    most_under_way = 1

    def __init__(self, session: Any, spec: DetectorSpec, device: str, answers: np.ndarray):
        self.spec = spec
        self.name = f"onnx on {device}"
        # A GPU may multiply 32-bit floats as TF32, which is as exact as f16.
        self._precision = "f32" if device == "cpu" else "f16"
        self._session = session
        self._answers: np.ndarray | None = answers

    def start(
        self, pictures: Sequence[np.ndarray], confidence: float = -1.0, several: bool = False
    ) -> Callable[[], list[Outputs]]:
        """Compute the outputs for pictures of one size; the function that is returned returns them."""
        if self._answers is not None:
            outputs = self._run([parity.pattern(self.spec.stride)])[0]
            parity.check(outputs[0][None], self._answers, self.spec, self._precision)
            self._answers = None
        outputs_of_all = [(_surer_than(self.spec, confidence, boxes), *masks) for boxes, *masks in self._run(pictures)]
        return lambda: outputs_of_all

    def _run(self, pictures: Sequence[np.ndarray]) -> list[Outputs]:
        batch = cv2.dnn.blobFromImages(pictures, 1 / 255, swapRB=True)
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        return list(zip(*outputs[: 1 + self.spec.masks], strict=True))


def _surer_than(spec: DetectorSpec, confidence: float, boxes: np.ndarray) -> np.ndarray:
    """A copy of the boxes above a confidence; those that are NMS-free are few."""
    if spec.nms_free:
        return boxes.copy()
    return boxes[:, spec.scores_in(boxes[None])[0].max(axis=0) > confidence]


def _loose_logit(confidence: float) -> np.ndarray:
    """A confidence as a logit, () float32, a little lower: the network may round it to bfloat16 (8 bits).

    `selection` compares with the confidence itself.
    """
    if confidence <= 0:
        return np.array(-math.inf, np.float32)
    share = min(confidence, 1 - 1e-15)
    logit = math.log(share / (1 - share))
    return np.array(logit - abs(logit) / 128, np.float32)
