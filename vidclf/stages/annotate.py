"""Annotate: draws what is known about a frame onto it: boxes, captions, masks, trails, classifier's input, speed.

This file decides what is drawn, and the wording; `_painter` draws, `_drawing` knows sizes, colours and positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from vidclf.frame import Detection, Frame, Source
from vidclf.limits import check_choice, check_range
from vidclf.stages._drawing import UNKNOWN, Position, colour_of, colour_of_track

if TYPE_CHECKING:
    from vidclf.stages._painter import Painter

ColourBy = Literal["label", "track", "kind"]
Corner = Literal["top-left", "top-right"]


class Annotate:
    """Draw every detection onto its frame, in place.

    A caption reads "Coat 0.91"; "#7 Coat 0.91" with a track; "Coat 0.91 / Shirt 0.05" with `top: 2`. Without a
    classifier it is what the detector saw, "person 0.87"; if the classifier abstained, "person ?" in grey.

    boxes, labels, masks: what to draw of each object. position: captions above the box, or inside at its bottom.
    confidence: write scores. top: how many of the ranked classes to write. tracks: write track numbers.
    trail: draw the path of a tracked object over this many frames. colour_by: what decides an object's colour.
    inset, inset_corner: show the classifier's input for the largest object, enlarged, in a top corner.
    fps: write the measured processing rate in the other top corner. scale: factor on all sizes, which grow with the
    frame.

    With OpenCV 4, whose font has only ASCII, other letters come out as question marks; OpenCV 5 draws them.
    """

    def __init__(
        self,
        boxes: bool = True,
        labels: bool = True,
        position: Position = "above",
        confidence: bool = True,
        top: int = 1,
        tracks: bool = True,
        trail: int = 0,
        colour_by: ColourBy = "label",
        masks: bool = False,
        inset: bool = False,
        inset_corner: Corner = "top-right",
        fps: bool = False,
        scale: float = 1.0,
    ) -> None:
        check_choice("position", position, get_args(Position))
        check_choice("colour_by", colour_by, get_args(ColourBy))
        check_choice("inset_corner", inset_corner, get_args(Corner))
        check_range("top", top, 1, 100, "classes")
        check_range("trail", trail, 0, 10_000, "frames")
        check_range("scale", scale, 0.25, 8)
        self.boxes, self.labels, self.masks = boxes, labels, masks
        self.position, self.confidence, self.top, self.tracks = position, confidence, top, tracks
        self.trail, self.colour_by, self.scale = trail, colour_by, scale
        self.inset, self.inset_corner, self.fps = inset, inset_corner, fps

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        from vidclf.stages._painter import Painter

        painters: dict[Source, Painter] = {}
        for frame in frames:
            height, width = frame.image.shape[:2]
            painter = painters.get(frame.source)
            if painter is None or painter.size != (width, height):
                painter = painters[frame.source] = Painter(self, (width, height))
            painter.paint(frame)
            yield frame

    def caption(self, detection: Detection) -> str:
        """The caption of a detection, one line."""
        d = detection
        prefix = f"#{d.track} " if self.tracks and d.track is not None else ""
        others = [r for r in d.ranked if r[0] != d.label]
        if d.label:
            text = self._scored([(d.label, d.label_score), *others[: self.top - 1]])
        elif not _classified(d):
            text = self._scored([(d.kind, d.score)])
        elif self.top > 1:
            text = "? " + self._scored(others[: self.top])
        else:
            text = f"{d.kind} ?"
        return " ".join((prefix + text).split())  # a class name may hold anything: keep the caption on one line

    def colour(self, detection: Detection) -> int:
        """Index into COLOURS of a detection's colour."""
        if self.colour_by == "track" and detection.track is not None:
            return colour_of_track(detection.track)
        if self.colour_by == "kind" or not _classified(detection):
            return colour_of(detection.kind)
        return colour_of(detection.label) if detection.label else UNKNOWN

    def _scored(self, ranked: Sequence[tuple[str, float]]) -> str:
        return " / ".join(f"{name} {score:.2f}" if self.confidence else name for name, score in ranked)


def _classified(detection: Detection) -> bool:
    return bool(detection.label or detection.ranked) or detection.probabilities is not None
