"""The loops that a user would otherwise write: one frame at a time, one crop at a time, all in one thread.

Each is created once, with its models loaded, and can be run repeatedly; `run` returns the objects of every frame.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from vidclf.bench.agree import Seen
from vidclf.bench.setting import PlainWriter, Setting
from vidclf.errors import VidclfError
from vidclf.frame import Box
from vidclf.models import load
from vidclf.models.device import choose_devices
from vidclf.models.ultralytics_model import load_detector
from vidclf.preprocess import crop_picture
from vidclf.stages.yolo import nearest_box

GREEN = (0, 255, 0)


class Namer:
    """A classifier in eager torch, one crop per call: eval mode, no gradients, all cores."""

    def __init__(self, setting: Setting):
        self._device = torch_device(setting, "classify")
        self._model = load(setting.option("classify", "weights"), self._device)
        self._policy = setting.option("crop", "policy")

    def __call__(self, image: np.ndarray, box: Box, mask: np.ndarray | None = None) -> str:
        """Classify the object in the box; returns its caption."""
        import torch

        crop = crop_picture(image, self._policy, box, mask)
        tensor = torch.from_numpy(crop if crop.ndim == 3 else crop[..., None]).permute(2, 0, 1)[None]
        with torch.no_grad():
            probabilities = self._model.probabilities(tensor.to(self._device))
        score, best = probabilities[0].max(0)
        return f"{self._model.labels[int(best)]} {float(score):.2f}"


def torch_device(setting: Setting, stage: str) -> str:
    """The torch device for the network of a vidclf stage: of several, the first."""
    return choose_devices(str(setting.option(stage, "device")))[0]


def draw(image: np.ndarray, box: Box, caption: str) -> None:
    """Draw a box and its caption, as examples usually do."""
    cv2.rectangle(image, box[:2], box[2:], GREEN, 2)
    cv2.putText(image, caption, (box[0], box[1] - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, GREEN, 1, cv2.LINE_AA)


def check_readable(setting: Setting) -> None:
    """Raise VidclfError if OpenCV, with which the loops read, finds no frame in the clip."""
    capture = cv2.VideoCapture(str(setting.clip))
    there = capture.grab()
    capture.release()
    if not there:
        raise VidclfError(f"{setting.clip}: OpenCV, with which the other loops read, finds no frame in it")


class Clip:
    """`with Clip(...) as clip`: pictures read with cv2.VideoCapture, and a writer for the annotated ones."""

    def __init__(self, setting: Setting, output: str):
        self._capture = cv2.VideoCapture(str(setting.clip))
        self._left = setting.frames or 1 << 62
        size = (int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        rate = self._capture.get(cv2.CAP_PROP_FPS) or 25
        self._writer = PlainWriter(setting.folder / output, setting.codec, rate, size)

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.release()
        self._writer.close()

    def read(self) -> np.ndarray | None:
        """The next picture, (height, width, 3) uint8 BGR; None at the end."""
        self._left -= 1
        there, image = self._capture.read()
        return image if there and self._left >= 0 else None

    def write(self, image: np.ndarray) -> None:
        self._writer.write(image)


class Person:
    """cv2 reads, `YOLO.predict` detects, the classifier runs crop by crop, cv2 draws, PyAV writes."""

    def __init__(self, setting: Setting):
        check_readable(setting)
        self._setting = setting
        device = torch_device(setting, "yolo")
        self._detector = load_detector(str(setting.option("yolo", "weights")), device)
        self._namer = Namer(setting)
        self._arguments = {
            "conf": setting.option("yolo", "confidence"),
            "iou": setting.option("yolo", "iou"),
            "imgsz": setting.option("yolo", "image_size"),
            "classes": setting.option("yolo", "class_numbers")(self._detector.names),
            "device": device,
            "verbose": False,
        }

    def run(self) -> list[Seen]:
        """Process the whole clip once."""
        seen = []
        with Clip(self._setting, "serial.mp4") as clip:
            while (image := clip.read()) is not None:
                (result,) = self._detector.predict(image, **self._arguments)
                seen.append(self.annotate(image, result))
                clip.write(image)
        return seen

    def run_stream(self) -> list[Seen]:
        """The same with `YOLO.predict(CLIP, stream=True)`, which reads by itself."""
        seen = []
        with Clip(self._setting, "stream.mp4") as clip:
            for result in self._detector.predict(str(self._setting.clip), stream=True, **self._arguments):
                seen.append(self.annotate(result.orig_img, result))
                clip.write(result.orig_img)
                if len(seen) == self._setting.frames:
                    break
        return seen

    def detect(self, image: np.ndarray) -> Any:
        """One picture's `ultralytics.engine.results.Results`."""
        return self._detector.predict(image, **self._arguments)[0]

    def annotate(self, image: np.ndarray, result: Any) -> Seen:
        """Classify and draw all objects of one picture, one after the other."""
        height, width = image.shape[:2]
        found = []
        for x0, y0, x1, y1 in result.boxes.xyxy.cpu().tolist():
            if box := nearest_box(x0, y0, x1, y1, width, height):
                found.append((box, self._namer(image, box)))
        for box, caption in found:
            draw(image, box, caption)
        return [(box, caption.rpartition(" ")[0]) for box, caption in found]


class ReferencePicture:
    """The webcam demo of LucasVandroux/Fashion-MNIST-PyTorch on a file: the largest difference from frame 0."""

    THRESHOLD, LEAST = 50, 2500  # grey levels; pixels

    def __init__(self, setting: Setting):
        check_readable(setting)
        self._setting = setting
        self._namer = Namer(setting)

    def run(self) -> list[Seen]:
        """Process the whole clip once."""
        seen: list[Seen] = []
        reference: np.ndarray | None = None
        with Clip(self._setting, "serial.mp4") as clip:
            while (image := clip.read()) is not None:
                reference = image.copy() if reference is None else reference
                seen.append(self._look(image, reference))
                clip.write(image)
        return seen

    def _look(self, image: np.ndarray, reference: np.ndarray) -> Seen:
        grey = cv2.cvtColor(cv2.absdiff(image, reference), cv2.COLOR_BGR2GRAY)
        _, mask = cv2.threshold(cv2.GaussianBlur(grey, (5, 5), 0), self.THRESHOLD, 255, cv2.THRESH_BINARY)
        square = np.ones((3, 3), np.uint8)
        mask = cv2.dilate(cv2.erode(cv2.dilate(mask, square), square), square, iterations=2)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max(outlines, key=cv2.contourArea, default=None)
        if largest is None or cv2.contourArea(largest) < self.LEAST:
            return []
        x, y, width, height = cv2.boundingRect(largest)
        filled = cv2.drawContours(np.zeros(mask.shape, np.uint8), [largest], -1, 255, cv2.FILLED)
        box = x, y, x + width, y + height
        caption = self._namer(image, box, filled[y : y + height, x : x + width] > 0)
        draw(image, box, caption)
        return [(box, caption.rpartition(" ")[0])]
