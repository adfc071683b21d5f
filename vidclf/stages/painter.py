"""Draw one source's frames, with supervision's annotators; the conversion to supervision's types lives here.

Imported only once frames flow: supervision takes a second to load.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import supervision as sv

from vidclf.frame import Box, Detection, Frame
from vidclf.stages.drawing import COLOURS, OVERLAY, Look, place, text_colour

if TYPE_CHECKING:
    from vidclf.stages.annotate import Annotate

FONT = cv2.FONT_HERSHEY_SIMPLEX  # what supervision's LabelAnnotator writes with; OpenCV 5 draws it as TrueType, UTF-8
TINT = 0.4  # how much of a mask's colour covers the object


def to_supervision(detections: Sequence[Detection], colours: Sequence[int]) -> sv.Detections:
    """Detections as supervision's type: boxes, scores, names, and tracks (-1 where there is none).

    The class number is the index of the colour, as its annotators take it. Masks stay behind: supervision wants
    each as large as the frame, megabytes an object.
    """
    return sv.Detections(
        xyxy=np.array([d.box for d in detections], np.float32).reshape(-1, 4),
        confidence=np.array([d.score for d in detections], np.float32),
        class_id=np.array(colours, int),
        tracker_id=np.array([-1 if d.track is None else d.track for d in detections], int),
        data={"class_name": np.array([d.label or d.kind for d in detections], dtype=str)},
    )


class Painter:
    """Draws on the frames of one source: its annotators are made once, and a trail or a rate needs a memory."""

    def __init__(self, options: Annotate, size: tuple[int, int]) -> None:
        self.options, self.size = options, size
        self.look = look = Look.of(*size, options.scale)
        palette = sv.ColorPalette.from_hex(list(COLOURS))
        self.bgr = [c.as_bgr() for c in palette.colors]
        self.tints = [_tint_table(bgr) for bgr in self.bgr]
        # A dark line around the coloured one keeps a box visible on a background of its own colour.
        self.edges = sv.BoxAnnotator(color=sv.Color.BLACK, thickness=look.line + 2 * round(0.5 + look.line / 6))
        self.boxes = sv.BoxAnnotator(color=palette, thickness=look.line)
        self.trails = sv.TraceAnnotator(
            color=palette,
            position=sv.Position.BOTTOM_CENTER,
            trace_length=max(1, options.trail),
            thickness=look.line,
        )
        self.captions = sv.LabelAnnotator(
            color=palette,
            text_color=sv.ColorPalette.from_hex([text_colour(c) for c in COLOURS]),
            text_scale=look.text,
            text_thickness=look.weight,
            text_padding=look.padding,
        )
        self.rate = Rate()

    def paint(self, frame: Frame) -> None:
        options, image = self.options, frame.image
        # By position, not by score: captions that get out of each other's way must not change places every frame.
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
        self._paint_captions(image, detections, colours, [box for box in taken if box])

    def _paint_trails(self, image: np.ndarray, detections: list[Detection], colours: list[int]) -> None:
        everything = to_supervision(detections, colours)
        self.trails.annotate(image, everything[np.array([d.track is not None for d in detections], bool)])

    def _paint_boxes(self, image: np.ndarray, detections: list[Detection], colours: list[int]) -> None:
        boxes = to_supervision(detections, colours)
        boxes.xyxy[:, 2:] -= 1  # supervision draws the last column and row, ours are exclusive
        half = self.look.line // 2  # a line is drawn centred: at the frame's border half of it would be lost
        limits = np.array([*self.size, *self.size]) - 1 - half
        boxes.xyxy = np.clip(boxes.xyxy, half, np.maximum(limits, half)).astype(np.float32)
        self.edges.annotate(image, boxes)
        self.boxes.annotate(image, boxes)

    def _paint_captions(
        self, image: np.ndarray, detections: list[Detection], colours: list[int], taken: list[Box]
    ) -> None:
        texts, plates, indices = [], [], []
        if self.options.fps and (rate := self.rate.tick(time.perf_counter())):
            texts, indices = [f"{rate:.0f} fps" if rate >= 10 else f"{rate:.1f} fps"], [OVERLAY]
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
        if texts:
            # LabelAnnotator hangs a plate above the top left corner of its box: that corner is all it is told.
            anchors = np.array([(x0, y1, x1, y1) for x0, _, x1, y1 in plates], np.float32)
            self.captions.annotate(image, sv.Detections(xyxy=anchors, class_id=np.array(indices, int)), texts)

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
        """(width, height) of a caption's plate, as LabelAnnotator makes it."""
        (width, height), _ = cv2.getTextSize(text, FONT, self.look.text, self.look.weight)
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
    """Frames a second over the last two seconds."""

    def __init__(self, window: float = 2.0) -> None:
        self.window = window
        self.times: deque[float] = deque()

    def tick(self, now: float) -> float:
        """Count a frame at `now` seconds; frames a second so far, 0 at the first frame."""
        self.times.append(now)
        while len(self.times) > 2 and now - self.times[0] > self.window:
            self.times.popleft()
        elapsed = now - self.times[0]
        return (len(self.times) - 1) / elapsed if elapsed > 0 else 0.0


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _tint(image: np.ndarray, detection: Detection, table: np.ndarray) -> None:
    """Blend a colour over a mask, by a look-up table: supervision's MaskAnnotator takes ten times as long."""
    if detection.mask is not None:
        x0, y0, x1, y1 = detection.box
        region = image[y0:y1, x0:x1]
        cv2.copyTo(cv2.LUT(region, table), detection.mask.astype(np.uint8), region)


def _tint_table(bgr: tuple[int, int, int]) -> np.ndarray:
    """(1, 256, 3) uint8: what each channel's value becomes under the colour."""
    values = np.arange(256)[:, None] * (1 - TINT) + np.array(bgr) * TINT
    return values.round().astype(np.uint8)[None]


def _to_bgr(crop: Any) -> np.ndarray:
    return crop if crop.ndim == 3 else cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
