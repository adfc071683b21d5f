"""Draw one source's frames with OpenCV alone, which is loaded anyway.

supervision's annotators draw the same, pixel by pixel, but take 70 MB and a second to import, and three times as
long a frame.
"""

from __future__ import annotations

import time
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vidclf.frame import Box, Detection, Frame
from vidclf.stages._drawing import COLOURS, OVERLAY, Look, place, text_colour

if TYPE_CHECKING:
    from vidclf.stages.annotate import Annotate

FONT = cv2.FONT_HERSHEY_SIMPLEX  # OpenCV 5 draws it as TrueType, UTF-8
TINT = 0.4  # how much of a mask's colour covers the object
BLACK = (0, 0, 0)


class Painter:
    """Draws on the frames of one source, all of one size (width, height); trails and rates need earlier frames."""

    def __init__(self, options: Annotate, size: tuple[int, int]) -> None:
        self.options, self.size = options, size
        self.look = Look.of(*size, options.scale)
        self.bgr = [_bgr(colour) for colour in COLOURS]
        self.text_bgr = [_bgr(text_colour(colour)) for colour in COLOURS]
        self.tints = [_tint_table(bgr) for bgr in self.bgr]
        self.trails: dict[int, deque[tuple[int, int, int]]] = {}  # track: (frame of this source, x, y), oldest first
        self.frames = 0
        self.rate = Rate()

    def paint(self, frame: Frame) -> None:
        """Draw on the frame's picture, in place; it must have this painter's size."""
        options, image = self.options, frame.image
        # By position, not by score: captions that avoid each other must not swap places from frame to frame.
        detections = sorted(frame.detections, key=lambda d: d.box)
        colours = [options.colour(d) for d in detections]
        if options.masks:
            for detection, colour in zip(detections, colours, strict=True):
                _tint(image, detection, self.tints[colour])
        if options.trail:
            self._paint_trails(image, detections, colours)
        if options.boxes and detections:
            self._paint_boxes(image, detections, colours)
        taken = [self._paint_inset(image, detections, colours)] if options.inset else []
        speed = self._speed(frame) if options.fps else ""
        self._paint_captions(image, detections, colours, [box for box in taken if box], speed)

    def _speed(self, frame: Frame) -> str:
        """Frames per second, and for a live source how late its picture is; empty at the first frame."""
        now = time.perf_counter()
        rate = self.rate.tick(now)
        if not rate:
            return ""
        text = f"{rate:.0f} fps" if rate >= 10 else f"{rate:.1f} fps"
        return f"{text}, lag {1000 * (now - frame.captured):.0f} ms" if frame.source.live else text

    def _paint_trails(self, image: np.ndarray, detections: list[Detection], colours: list[int]) -> None:
        """Draw the path of the middle of each tracked object's lower edge, over the latest `trail` frames."""
        self.frames += 1
        for detection, colour in zip(detections, colours, strict=True):
            if detection.track is not None:
                x0, _, x1, y1 = detection.box
                trail = self.trails.setdefault(detection.track, deque())
                trail.append((self.frames, (x0 + x1) // 2, y1))
                while trail[0][0] <= self.frames - self.options.trail:
                    trail.popleft()
                points = np.array([(x, y) for _, x, y in trail], np.int32)
                cv2.polylines(image, [points], isClosed=False, color=self.bgr[colour], thickness=self.look.line)
        if self.frames % 256 == 0:  # forget objects that left: a camera may run for months
            oldest = self.frames - self.options.trail
            self.trails = {track: trail for track, trail in self.trails.items() if trail[-1][0] > oldest}

    def _paint_boxes(self, image: np.ndarray, detections: list[Detection], colours: list[int]) -> None:
        line = self.look.line
        half = line // 2  # lines are drawn centred, so half of one would be lost at the frame's border
        # The last column and row for the middle of a line; boxes are exclusive there, OpenCV is not.
        right, bottom = (max(side - 1 - half, half) for side in self.size)
        corners = []
        for x0, y0, x1, y1 in (d.box for d in detections):
            near = min(max(x0, half), right), min(max(y0, half), bottom)
            corners.append((near, (min(max(x1 - 1, half), right), min(max(y1 - 1, half), bottom))))
        # A dark line around the coloured one keeps a box visible on a background of its own colour.
        edge = line + 2 * round(0.5 + line / 6)
        for near, far in corners:
            cv2.rectangle(image, near, far, BLACK, edge)
        for (near, far), colour in zip(corners, colours, strict=True):
            cv2.rectangle(image, near, far, self.bgr[colour], line)

    def _paint_captions(
        self, image: np.ndarray, detections: list[Detection], colours: list[int], taken: list[Box], speed: str
    ) -> None:
        texts, plates, indices = [], [], []
        if speed:
            texts, indices = [speed], [OVERLAY]
            width, height = self._measure(texts[0])
            left = self.options.inset_corner == "top-right"
            x = self.look.padding if left else self.size[0] - width - self.look.padding
            plates = [(x, self.look.padding, x + width, self.look.padding + height)]
        if self.options.labels:
            captions = [self._fit(self.options.caption(d)) for d in detections]
            sizes = [self._measure(text) for text in captions]
            boxes = [d.box for d in detections]
            plates += place(sizes, boxes, self.size, self.options.position, taken + plates)
            texts, indices = texts + captions, [*indices, *colours]
        padding, weight = self.look.padding, self.look.weight
        for text, plate, colour in zip(texts, plates, indices, strict=True):
            cv2.rectangle(image, plate[:2], plate[2:], self.bgr[colour], cv2.FILLED)
            foot = plate[0] + padding, plate[3] - padding
            cv2.putText(image, text, foot, FONT, self.look.text, self.text_bgr[colour], weight, cv2.LINE_AA)

    def _paint_inset(self, image: np.ndarray, detections: list[Detection], colours: list[int]) -> Box | None:
        shown = [(d, c) for d, c in zip(detections, colours, strict=True) if d.crop is not None]
        side, margin, line = self.look.inset, self.look.padding + self.look.line, self.look.line
        if not shown or side + 2 * margin > min(self.size):
            return None
        detection, colour = max(shown, key=lambda pair: _area(pair[0].box))
        picture = cv2.resize(_to_bgr(detection.crop), (side, side), interpolation=cv2.INTER_NEAREST)
        x = margin if self.options.inset_corner == "top-left" else self.size[0] - margin - side
        frame = (x - line, margin - line, x + side + line, margin + side + line)
        cv2.rectangle(image, frame[:2], (frame[2] - 1, frame[3] - 1), self.bgr[colour], cv2.FILLED)
        image[margin : margin + side, x : x + side] = picture
        return frame

    def _measure(self, text: str) -> tuple[int, int]:
        """(width, height) of a caption's plate."""
        width, height = _text_size(text, self.look.text, self.look.weight)
        return width + 2 * self.look.padding, height + 2 * self.look.padding

    def _fit(self, text: str) -> str:
        """Shorten a caption that is wider than the picture."""
        width = self._measure(text)[0]
        if width <= self.size[0]:
            return text
        keep = len(text) * self.size[0] // width
        while keep > 0 and self._measure(text[:keep] + "...")[0] > self.size[0]:
            keep -= 1
        return text[:keep] + "..."


class Rate:
    """Frames per second over the last two seconds."""

    def __init__(self, window: float = 2.0) -> None:
        self.window = window
        self.times: deque[float] = deque()

    def tick(self, now: float) -> float:
        """Count a frame at `now` seconds; returns frames per second, 0 at the first frame."""
        self.times.append(now)
        while len(self.times) > 2 and now - self.times[0] > self.window:
            self.times.popleft()
        elapsed = now - self.times[0]
        return (len(self.times) - 1) / elapsed if elapsed > 0 else 0.0


@lru_cache(maxsize=4096)
def _text_size(text: str, scale: float, weight: int) -> tuple[int, int]:
    """(width, height) in pixels; cached, since captions repeat and measuring takes OpenCV 5 as long as drawing."""
    width, height = cv2.getTextSize(text, FONT, scale, weight)[0]
    return width, height


def _bgr(colour: str) -> tuple[int, int, int]:
    """'#rrggbb' as OpenCV takes it."""
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _tint(image: np.ndarray, detection: Detection, table: np.ndarray) -> None:
    """Blend a colour over a mask, by a look-up table: supervision's MaskAnnotator takes ten times as long."""
    if detection.mask is not None:
        x0, y0, x1, y1 = detection.box
        region = image[y0:y1, x0:x1]
        if region.shape[:2] != detection.mask.shape:  # a stage has shrunk the picture since
            return
        cv2.copyTo(cv2.LUT(region, table), detection.mask.astype(np.uint8), region)


def _tint_table(bgr: tuple[int, int, int]) -> np.ndarray:
    """(1, 256, 3) uint8: what each channel's value becomes under the colour."""
    values = np.arange(256)[:, None] * (1 - TINT) + np.array(bgr) * TINT
    return values.round().astype(np.uint8)[None]


def _to_bgr(crop: Any) -> np.ndarray:
    return crop if crop.ndim == 3 else cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
