"""Yolo: finds people, or any other kind of object a YOLO model knows, in batches of frames."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Box, Detection, Frame, Source
from vidclf.limits import check_range, did_you_mean
from vidclf.models.backends import Backend, Precision, check_backend, check_precision
from vidclf.models.device import check_device
from vidclf.models.selection import Found, Selection

if TYPE_CHECKING:
    from vidclf.channel import Channel
    from vidclf.models.detector import Detector
    from vidclf.models.exported_detector import ExportedDetector

log = logging.getLogger(__name__)

# Frames whose pictures are being searched, and what waits for their results.
Search = tuple[list[Frame], Callable[[], list[Found]]]
Group = tuple[list[Frame], list[Search]]  # frames in the order of the stream, and the searches of some of them
MOST_WAITING = 32 << 20  # bytes of frames that may wait here for others' results, beyond those of a batch
USUAL = "person"  # the class that is kept where none is asked for


class Yolo:
    """Detect objects with an ultralytics model (detect, or segment, which also gives masks).

    weights: a file (.pt, .onnx), an exported model's folder (OpenVINO), or a published name: yolo11n, yolo11s,
    ... yolo11x, yolo11n-seg: n is the fastest, x the most accurate. classes: kinds to keep, by name; empty keeps all;
    by default persons, or all where the model knows no class "person".
    confidence: the lowest score. iou: boxes of one kind that overlap more count as one. image_size: pixels of the
    longer side the network sees. batch: maximum pictures searched at a time; on a GPU, in each of two batches.
    max_objects: maximum objects per frame.
    device: auto, cpu, cuda, cuda:N, or several GPUs that share each batch, cuda:0,1.
    backend: runtime for the network of a .pt model; auto is OpenVINO on a CPU, if it is installed, and torch on a
    GPU. precision: f32, f16, bf16; auto is 16 bits if the hardware is faster with them.
    Raises UsageError for a model that does not exist, or a class it does not know.
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
        from vidclf.models.class_names import read_names
        from vidclf.models.ultralytics_model import find_weights

        check_range("confidence", confidence, 0, 1)
        check_range("iou", iou, 0, 1)
        check_range("image_size", image_size, 32, 8192, "pixels")
        check_range("batch", batch, 1, 1024, "frames")
        check_range("max_objects", max_objects, 1)
        path = find_weights(weights)  # report a wrong path now; the model itself is loaded in the stage's thread
        self.weights = weights
        self.classes = None if classes is None else [name for name in classes if name]  # "" is read as one empty name
        if self.classes and (names := read_names(path)):
            self.class_numbers(names)  # report a wrong class now, too, if the file lists them
        self.confidence, self.iou, self.image_size = confidence, iou, image_size
        self.batch, self.device, self.max_objects = batch, check_device(device, several=True), max_objects
        self.backend, self.precision = check_backend(backend), check_precision(precision)
        self._detector: Detector | ExportedDetector | None = None

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        if self._detector is None:
            from vidclf.models.detector import open_detector

            self._detector = open_detector(self.weights, self.device, self.backend, self.precision, self.image_size)
        yield from self._detect_all(frames, self._detector)

    def _detect_all(self, frames: Channel, detector: Detector | ExportedDetector) -> Iterator[Frame]:
        which = Selection(self.confidence, self.iou, self.class_numbers(detector.names), self.max_objects)
        under_way = deque[Group]()
        cameras: set[Source] = set()
        while True:
            while under_way and not under_way[0][1]:  # none of its frames is searched
                yield from _finish(under_way.popleft(), detector.names)
            room = self._room(detector, under_way)
            if room and (not under_way or frames.wait(0)):
                try:
                    taken = frames.take(min(room, self.batch, detector.most))
                except Exception:  # a stage before this one failed: what is here is finished all the same
                    for group in under_way:
                        yield from _finish(group, detector.names)
                    raise
                if taken:
                    cameras.update(frame.source for frame in taken if frame.source.live)
                    several = len(cameras) > 1 or not taken[0].source.live
                    under_way.append((taken, _start(detector, taken, which, several)))
                    continue
                if not under_way:
                    return
            yield from _finish(under_way.popleft(), detector.names)

    def _room(self, detector: Detector | ExportedDetector, under_way: Iterable[Group]) -> int:
        """How many more frames may be taken while others are under way."""
        held = [frame for frames, _ in under_way for frame in frames]
        if not held:
            return self.batch
        # A live frame waits in the channel, where a fresher one may replace it, rather than here.
        if any(frame.source.live for frame in held) or _pictures(under_way) >= detector.most_under_way:
            return 0
        has_room = sum(frame.image.nbytes for frame in held) < MOST_WAITING
        counted = _pictures(under_way) if has_room else len(held)  # frames that are not searched only wait
        return max(0, self.batch * (2 if detector.on_gpu else 1) - counted)

    def class_numbers(self, names: dict[int, str]) -> list[int] | None:
        """The numbers of the classes to keep, None for all; UsageError for a class that is not among `names`."""
        numbers = {name: number for number, name in names.items()}
        if self.classes is None:
            if USUAL in numbers:
                return [numbers[USUAL]]
            log.info("%s does not know the class %r; all its classes are kept: %s", self.weights, USUAL, _few(numbers))
            return None
        unknown = [name for name in self.classes if name not in numbers]
        if unknown:
            hint = did_you_mean(unknown[0], numbers)
            known = _few(numbers) if hint else ", ".join(numbers)
            raise UsageError(f"{self.weights} does not know the class {unknown[0]!r}{hint} (it knows {known})")
        return [numbers[name] for name in self.classes] or None


def _start(detector: Detector | ExportedDetector, frames: list[Frame], which: Selection, several: bool) -> list[Search]:
    """Begin to search the frames that are not to be skipped."""
    by_size: dict[tuple[int, ...], list[Frame]] = {}  # pictures of one size share one border, or none
    for frame in (frame for frame in frames if not frame.skip):
        by_size.setdefault(frame.image.shape, []).append(frame)
    searches: list[Search] = []
    for alike in by_size.values():
        while alike:
            # By powers of two: the underlying libraries keep memory for every batch size they see. On a GPU, the
            # network fills the batch up instead.
            some = len(alike) if detector.on_gpu else 1 << (len(alike).bit_length() - 1)
            searches.append((alike[:some], detector.start([frame.image for frame in alike[:some]], which, several)))
            del alike[:some]
    return searches


def _finish(group: Group, names: Mapping[int, str]) -> list[Frame]:
    """Wait for the results; returns all of the group's frames, with their detections."""
    frames, searches = group
    for searched, results in searches:
        for frame, found in zip(searched, results(), strict=True):
            frame.detections += to_detections(found, frame.image, names)
    return frames


def _pictures(groups: Iterable[Group]) -> int:
    return sum(len(searched) for _, searches in groups for searched, _ in searches)


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f", ...; {len(names)} in all" if len(names) > 12 else "")


def to_detections(found: Found, image: np.ndarray, names: Mapping[int, str]) -> list[Detection]:
    """The objects found in an image as our own type; those without a pixel inside of it are left out."""
    height, width = image.shape[:2]
    detections = []
    for i, (x0, y0, x1, y1) in enumerate(found.boxes):
        box = nearest_box(x0, y0, x1, y1, width, height)
        mask = _inside(found.masks[i], box, width, height) if box and found.masks is not None else None
        if box is None or (mask is not None and not mask.any()):
            continue
        detections.append(Detection(box, score=float(found.scores[i]), kind=names[int(found.kinds[i])], mask=mask))
    return detections


def nearest_box(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> Box | None:
    """The nearest whole pixels inside a width x height picture, at least one; None if nothing of the box is inside.

    Not rounded outwards: a box one pixel too large all around costs IoU on small objects.
    """
    left, top = max(0, round(x0)), max(0, round(y0))
    right, bottom = min(width, max(round(x1), round(x0) + 1)), min(height, max(round(y1), round(y0) + 1))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _inside(mask: np.ndarray, box: Box, width: int, height: int) -> np.ndarray:
    """A mask over the network's letterboxed input, positive inside -> bool over the box."""
    rows, columns = mask.shape
    scale = min(columns / width, rows / height)
    left, top = (columns - width * scale) / 2, (rows - height * scale) / 2
    x0, y0, x1, y1 = box
    # Sample the mask at the centre of each of the box's pixels.
    xs = ((np.arange(x0, x1) + 0.5) * scale + left - 0.5).astype(np.float32)
    ys = ((np.arange(y0, y1) + 0.5) * scale + top - 0.5).astype(np.float32)
    grid = np.meshgrid(xs, ys)
    return cv2.remap(mask, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) > 0
