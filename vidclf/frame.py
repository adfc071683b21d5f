"""What flows through a pipeline: frames, the detections on them, and the source they came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from vidclf.preprocess import Preprocess

Box = tuple[int, int, int, int]
Skip = Literal["", "between", "still"]
State = Literal["absent", "connected", "reconnecting", "given up"]  # of a live source; absent: never seen yet
LARGEST = 16_384  # pixels of a picture's side; also the limit of common codecs
USUAL_RATE = Fraction(25)  # frames per second, if a source does not know its own


@dataclass(slots=True, eq=False)
class Source:
    """Where frames come from; compared and hashed by identity, so it can be the key of per-source state."""

    name: str  # as the user gave it
    size: tuple[int, int]  # (width, height) of every frame of this source, upright
    rate: Fraction | None = None  # average frames per second; None if the source does not know
    time_base: Fraction = Fraction(1, 1000)  # seconds per `Frame.pts` unit
    duration: float | None = None  # seconds; None if unknown, as for live sources
    live: bool = False  # frames arrive in real time, and there is no end to wait for
    frames: int | None = None  # how many frames are expected, if the container says so
    origin: Fraction = Fraction(0)  # time of its own clock at its start, in seconds; already subtracted from every pts
    begin: float = 0.0  # seconds into the source where reading began (capture's `start`)
    ended: bool = False  # its capture read it to the end
    uri: str | None = None  # what FFmpeg opens to read its sound; None if there is none, as for live sources
    options: dict[str, str] = field(default_factory=dict)  # FFmpeg's, to open a URL
    sample_aspect_ratio: Fraction | None = None  # a pixel's width by its height, upright; None if unknown
    corrupt: int = 0  # packets that could not be decoded so far; counted by its capture
    dropped: Counter[str] = field(default_factory=Counter)  # frames its capture skipped, by reason
    # A live source's health, kept by its capture.
    state: State = "connected"
    reconnects: int = 0  # how often it came back
    problem: str = ""  # why it is not connected, without its password
    waited: float = 0.0  # seconds that its capture spent waiting for it, without the current wait
    waits_since: float | None = None  # `time.perf_counter`: start of the current wait


@dataclass(frozen=True, slots=True)
class Placement:
    """Where in a frame the source's own picture is, if capture scaled it."""

    size: tuple[int, int]  # (width, height) of the source's picture, upright
    area: Box  # of the frame; the rest is black

    def to_source(self, box: Box) -> Box:
        """A box of the frame in pixels of the source's picture: rounded, inside it, and never empty."""
        (width, height), (left, top, right, bottom) = self.size, self.area
        x0, x1 = _scaled(box[0] - left, box[2] - left, right - left, width)
        y0, y1 = _scaled(box[1] - top, box[3] - top, bottom - top, height)
        return x0, y0, x1, y1


@dataclass(slots=True, eq=False)
class Detection:
    """One object on one frame; stages fill in the lower fields as the frame travels."""

    box: Box  # x0, y0, x1, y1 in pixels; x1, y1 exclusive; inside the image: `boxes` clips those of your own stages
    score: float = 1.0  # the detector's confidence, 0..1
    kind: str = "object"  # what the detector saw: "person", "motion", ...
    mask: np.ndarray | None = None  # (y1-y0, x1-x0) bool, foreground inside the box
    track: int | None = None  # identity over time
    crop: np.ndarray | None = None  # (28, 28) uint8 grey by default: exactly what the classifier sees
    preprocess: Preprocess | None = None  # how `crop` was made
    probabilities: np.ndarray | None = None  # (classes,) float32, calibrated
    label: str = ""  # "" = the classifier abstained
    label_score: float = 0.0  # calibrated probability of the best class
    ranked: list[tuple[str, float]] = field(default_factory=list)  # the best classes, best first
    inference: float = 0.0  # seconds: its share of the forward pass that classified it


@dataclass(slots=True, eq=False)
class Frame:
    """One decoded picture and everything known about it."""

    source: Source
    index: int  # 0, 1, 2 ... as decoded from this source
    pts: int  # in source.time_base units from the source's start; strictly increasing
    image: np.ndarray  # (height, width, 3) uint8, BGR, C-contiguous, upright
    detections: list[Detection] = field(default_factory=list)
    captured: float = field(default_factory=perf_counter)  # when it reached this machine, by `time.perf_counter`
    placement: Placement | None = None  # of the source's own picture in `image`; None: it is that picture
    # Why the detector skips it: "between" two searched frames, or "still": nothing has changed since the last one.
    skip: Skip = ""

    @property
    def time(self) -> float:
        """Seconds from the source's start."""
        return float(self.pts * self.source.time_base)


def _scaled(begin: int, end: int, inner: int, outer: int) -> tuple[int, int]:
    """A span of `inner` pixels in those `outer` pixels that were scaled to them."""
    first = min(max(round(begin * outer / inner), 0), outer - 1)
    return first, min(max(round(end * outer / inner), first + 1), outer)
