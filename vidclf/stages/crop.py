"""Crop: cuts every detection out of the frame, as the 28x28 picture that the classifier needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from vidclf.boxes import is_in_picture
from vidclf.frame import Frame
from vidclf.preprocess import Aspect, Polarity, Preprocess, crop_picture

log = logging.getLogger(__name__)


class Crop:
    """Make the crop of every detection (see `vidclf.preprocess`).

    like: a checkpoint, by shipped name or path, whose preprocessing to use; the other options override it. Without
    `like` they are 28, 1 (grey), letterbox, true, 0 and light.
    aspect: letterbox or squash. mask: black outside the object. padding: widen the box on each side by this share of
    its longer side. polarity: whether the object is lighter or darker than its background (light, dark); auto finds
    out.
    """

    def __init__(
        self,
        like: str | None = None,
        size: int | None = None,
        channels: int | None = None,
        aspect: Aspect | None = None,
        mask: bool | None = None,
        padding: float | None = None,
        polarity: Polarity | None = None,
    ):
        policy = Preprocess()
        if like is not None:
            from vidclf.models.checkpoint import read_preprocess

            policy = read_preprocess(like)
        chosen: dict[str, Any] = {
            "size": size,
            "channels": channels,
            "aspect": aspect,
            "mask": mask,
            "padding": padding,
            "polarity": polarity,
        }
        self.policy = replace(policy, **{name: value for name, value in chosen.items() if value is not None})

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        warned = False
        for frame in frames:
            for detection in frame.detections:
                if not is_in_picture(detection, frame):
                    if not warned:
                        log.warning("crop: a box is beyond the picture: a stage before it has made that smaller")
                        warned = True
                    continue
                detection.crop = crop_picture(frame.image, self.policy, detection.box, detection.mask)
                detection.preprocess = self.policy
            yield frame
