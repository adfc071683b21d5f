"""Keeps the boxes of your own stages inside the picture: detectors return fractions of pixels, and go beyond it."""

from __future__ import annotations

from math import isfinite

from vidclf.errors import VidclfError
from vidclf.frame import Box, Detection, Frame


def keep_inside(frame: Frame, stage: str) -> None:
    """Round and clip a frame's boxes, with their masks, and drop the empty ones.

    stage: where they come from, for the error. Raises VidclfError for a box that is not four finite numbers, and for a
    score that is none: records and messages could not be read.
    """
    # A stage may have shrunk the picture after the search: the record still wants the source's pixels.
    height, width = frame.image.shape[:2]
    width, height = max(width, frame.source.size[0]), max(height, frame.source.size[1])
    for detection in frame.detections:
        if not (_is_number(detection.score) and _is_number(detection.label_score)):
            got, where = (detection.score, detection.label_score), f"frame {frame.index} of {frame.source.name}"
            raise VidclfError(f"stage {stage!r}: a score must be a finite number, got {got[0]} and {got[1]} in {where}")
    odd = [detection for detection in frame.detections if not _is_inside(detection.box, width, height)]
    for detection in odd:
        if not _clip(detection, width, height):
            corners = ", ".join(str(corner) for corner in detection.box)
            where = f"frame {frame.index} of {frame.source.name}"
            raise VidclfError(f"stage {stage!r}: a box must be four finite numbers, got ({corners}) in {where}")
    if odd:
        frame.detections = [d for d in frame.detections if d.box[0] < d.box[2] and d.box[1] < d.box[3]]


def is_in_picture(detection: Detection, frame: Frame) -> bool:
    """Whether a box is inside of the frame's picture: it is not if a stage has shrunk that since the search."""
    height, width = frame.image.shape[:2]
    return detection.box[2] <= width and detection.box[3] <= height


def _is_number(score: float) -> bool:
    try:
        return isfinite(score)
    except (TypeError, ValueError):
        return False


def _is_inside(box: Box, width: int, height: int) -> bool:
    """Whether nothing is to be done, as for nearly all boxes: this takes a fraction of a microsecond."""
    if len(box) != 4:
        return False
    x0, y0, x1, y1 = box
    are_whole = type(x0) is type(y0) is type(x1) is type(y1) is int
    return are_whole and 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height


def _clip(detection: Detection, width: int, height: int) -> bool:
    """Round and clip a box; False if it is none."""
    try:
        corners = [float(corner) for corner in detection.box]
    except (TypeError, ValueError):
        return False
    if len(corners) != 4 or not all(map(isfinite, corners)):
        return False
    x0, y0, x1, y1 = map(round, corners)
    left, right = (min(max(x, 0), width) for x in (x0, x1))
    top, bottom = (min(max(y, 0), height) for y in (y0, y1))
    detection.box = left, top, right, bottom
    if detection.mask is not None:
        detection.mask = detection.mask[top - y0 : bottom - y0, left - x0 : right - x0]
    return True
