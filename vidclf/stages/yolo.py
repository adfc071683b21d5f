"""Yolo: finds people, or any other kind of object a YOLO model knows, in batches of frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Box, Detection, Frame
from vidclf.models.backends import Backend, Precision, check_backend, check_precision
from vidclf.models.device import check_device, torch_threads

if TYPE_CHECKING:
    from vidclf.channel import Channel
    from vidclf.models.detection import Detector, ReadyDetector


class Yolo:
    """Detect objects with an ultralytics model (detect, or segment: then with masks).

    weights: a file (.pt, .onnx), an exported model's folder (OpenVINO), or a published name: yolo11n, yolo11s,
    ... yolo11x, yolo11n-seg: n is the fastest, x the most accurate. classes: kinds to keep, by name; empty keeps all.
    confidence: the least score. iou: boxes of one kind that overlap more are one. image_size: pixels of the longer
    side the network sees. batch: most frames in one forward pass. max_objects: most objects a frame.
    device: auto, cpu, cuda, cuda:N, or several GPUs that share each batch, cuda:0,1.
    backend: what runs the network of a .pt model; auto is OpenVINO on a CPU, where it is installed, and torch on a
    GPU. precision: f32, f16, bf16; auto is 16 bits where the hardware computes with them.
    Raises UsageError for a model that is not there, or a class it does not know.
    """

    def __init__(
        self,
        weights: str = "yolo11n",
        classes: list[str] | None = None,
        confidence: float = 0.3,
        iou: float = 0.7,
        image_size: int = 640,
        batch: int = 8,
        device: str = "auto",
        max_objects: int = 300,
        backend: Backend = "auto",
        precision: Precision = "auto",
    ):
        from vidclf.models.ultralytics_model import find_weights

        for name, value in (("confidence", confidence), ("iou", iou)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} must be 0 to 1, got {value}")
        if not 32 <= image_size <= 8192:
            raise UsageError(f"image_size must be 32 to 8192 pixels, got {image_size}")
        if not 1 <= batch <= 1024:
            raise UsageError(f"batch must be 1 to 1024 frames, got {batch}")
        if max_objects < 1:
            raise UsageError(f"max_objects must be at least 1, got {max_objects}")
        find_weights(weights)  # complain about a path now; the model itself is loaded in the stage's thread
        self.weights, self.classes = weights, ["person"] if classes is None else classes
        self.confidence, self.iou, self.image_size = confidence, iou, image_size
        self.batch, self.device, self.max_objects = batch, check_device(device, several=True), max_objects
        self.backend, self.precision = check_backend(backend), check_precision(precision)
        self._detector: Detector | ReadyDetector | None = None

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        with torch_threads("detector"):
            yield from self._detect_all(frames)

    def _detect_all(self, frames: Channel) -> Iterator[Frame]:
        if self._detector is None:
            from vidclf.models.detection import open_detector

            self._detector = open_detector(self.weights, self.device, self.backend, self.precision, self.image_size)
        detector = self._detector
        wanted = self._class_numbers(detector.names)
        while group := frames.take(min(self.batch, detector.most)):
            by_size: dict[tuple[int, ...], list[Frame]] = {}  # pictures of one size share one border, or none
            for frame in (frame for frame in group if not frame.skip):
                by_size.setdefault(frame.image.shape, []).append(frame)
            for alike in by_size.values():
                while alike:
                    # By powers of two: the libraries beneath keep memory for every size of batch they meet.
                    some = 1 << (len(alike).bit_length() - 1)
                    self._detect(detector, alike[:some], wanted)
                    del alike[:some]
            yield from group

    def _detect(self, detector: Detector | ReadyDetector, frames: list[Frame], wanted: list[int] | None) -> None:
        options = {"conf": self.confidence, "iou": self.iou, "classes": wanted, "max_det": self.max_objects}
        results = detector([frame.image for frame in frames], **options)
        for frame, result in zip(frames, results, strict=True):
            frame.detections += to_detections(result)

    def _class_numbers(self, names: dict[int, str]) -> list[int] | None:
        numbers = {name: number for number, name in names.items()}
        unknown = [name for name in self.classes if name not in numbers]
        if unknown:
            known = ", ".join(list(numbers)[:12]) + (f", ... ({len(numbers)} in all)" if len(numbers) > 12 else "")
            raise UsageError(f"{self.weights} does not know the class {unknown[0]!r}; it knows {known}")
        return [numbers[name] for name in self.classes] or None


def to_detections(result: Any) -> list[Detection]:
    """One frame's `ultralytics.engine.results.Results` as our own type; nothing of it is kept."""
    height, width = result.orig_shape
    boxes = result.boxes.cpu().numpy()
    masks = result.masks.data.cpu().numpy() if result.masks is not None else None
    detections = []
    for i, (x0, y0, x1, y1) in enumerate(boxes.xyxy):
        box = nearest_box(x0, y0, x1, y1, width, height)
        if box is None:
            continue
        mask = _inside(masks[i], box, width, height) if masks is not None else None
        kind = result.names[int(boxes.cls[i])]
        detections.append(Detection(box, score=float(boxes.conf[i]), kind=kind, mask=mask))
    return detections


def nearest_box(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Box | None:
    """The nearest whole pixels inside a width x height picture, at least one; None if nothing of the box is inside.

    Not rounded outwards: a box one pixel too large all around costs IoU on small objects.
    """
    left, top = max(0, round(x0)), max(0, round(y0))
    right, bottom = min(width, max(round(x1), round(x0) + 1)), min(height, max(round(y1), round(y0) + 1))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _inside(mask: np.ndarray, box: Box, width: int, height: int) -> np.ndarray:
    """A mask as the network gives it, over its letterboxed input -> bool over the box."""
    rows, columns = mask.shape
    scale = min(columns / width, rows / height)
    left, top = (columns - width * scale) / 2, (rows - height * scale) / 2
    x0, y0, x1, y1 = box
    # Sample the mask at the centre of each of the box's pixels.
    xs = ((np.arange(x0, x1) + 0.5) * scale + left - 0.5).astype(np.float32)
    ys = ((np.arange(y0, y1) + 0.5) * scale + top - 0.5).astype(np.float32)
    grid = np.meshgrid(xs, ys)
    return cv2.remap(mask.astype(np.float32), grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) > 0.5
