"""How a picture is fitted into a detector's input, and how boxes come back from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

GREY = 114  # of the border, as in training


class Place(NamedTuple):
    """Where a picture lies in the input: its size there, and the borders around it, in pixels."""

    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Scale a picture so that its longer side is `side`, and pad the other one to the next multiple of the stride.

    Pixel for pixel what ultralytics' own LetterBox does (tests/models/test_letterbox.py).
    stretches: to a square of that side instead, and boxes are shares of the picture, as RT-DETR wants it.
    """

    side: int
    stride: int
    stretches: bool = False

    def place(self, width: int, height: int) -> Place:
        """Where a picture of this size lies."""
        if self.stretches:
            return Place(self.side, self.side, 0, 0, 0, 0)
        scale = min(self.side / height, self.side / width)
        wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
        across, down = (self.side - wide) % self.stride / 2, (self.side - high) % self.stride / 2
        return Place(wide, high, round(across - 0.1), round(down - 0.1), round(across + 0.1), round(down + 0.1))

    def fit(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 -> the input, uint8; the same array if there is nothing to do."""
        height, width = image.shape[:2]
        place = self.place(width, height)
        if (width, height) != (place.width, place.height):
            image = cv2.resize(image, (place.width, place.height), interpolation=cv2.INTER_LINEAR)
        if place.left or place.top or place.right or place.bottom:
            borders = place.top, place.bottom, place.left, place.right
            image = cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
        return image

    def boxes_in_picture(self, boxes: np.ndarray, width: int, height: int) -> np.ndarray:
        """(N, 4) float32 corners x0, y0, x1, y1 in the input -> in a picture of this size, and inside of it."""
        whole = np.array([width, height] * 2, np.float32)
        if self.stretches:
            boxes = boxes * whole
        else:
            place = self.place(width, height)
            scale = np.array([place.width / width, place.height / height] * 2, np.float32)
            boxes = (boxes - np.array([place.left, place.top] * 2, np.float32)) / scale
        return boxes.clip(0, whole)
