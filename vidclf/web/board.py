"""What the page shows of the frames: each camera's latest picture, the latest detections, the counts over time.

Two threads use it without a lock: the `serve` stage's, which shows the frames, and the web server's. Every field has
one writer: the stage, except that `Camera.wanted` and `Picture.jpeg` are the server's. What is stored is complete and
never changed, only replaced; the dict `kept` does change, by single operations, which are atomic. Fields that are set
one after the other may be found as of two frames.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from vidclf.frame import Detection, Frame, Source
from vidclf.preprocess import shrink
from vidclf.rows import Row, since_1970, to_row, utc

WANTED = 2.0  # seconds for which a request wants pictures; a viewer that stops reading stops requesting
UNWATCHED = 1.0  # seconds between two pictures that are kept without viewers, so that a new viewer sees one at once
AGAIN = 1.0  # seconds before the same object may be among the latest detections again
LATEST, KEPT = 48, 128  # latest detections listed, and those whose pictures are still available
THUMBNAIL = 160  # the longer side of a detection's picture, in pixels
BIN, BINS = 3.0, 100  # seconds of one count over time, and how many are kept


class Picture:
    """One picture of a camera, encoded when it is first sent: (height, width, 3) uint8 BGR."""

    def __init__(self, number: int, image: np.ndarray, quality: int) -> None:
        self.number, self._image, self._quality = number, image, quality

    @cached_property
    def jpeg(self) -> bytes:
        """The picture as a JPEG file, encoded once; used only by the server's thread."""
        return encode(self._image, self._quality)


class Camera:
    """One source: the slot for its latest picture, and until when viewers want the next."""

    def __init__(self, name: str, size: tuple[int, int], seen: float) -> None:
        self.name, self.size = name, size
        self.picture: Picture | None = None
        self.seen = seen  # time.monotonic() of its latest frame
        self.pause = 0.0  # seconds between its latest two
        self.wanted = 0.0  # until this time.monotonic(); written only by the server's thread
        self.due = 0.0  # the earliest time of the next picture


@dataclass(frozen=True, slots=True)
class Sighting:
    """A detection as the page shows it: the columns of a record's row, when it was, and two pictures."""

    number: int
    row: Row
    at: str  # when it was captured, as in events
    thumbnail: np.ndarray  # (h, w, 3) uint8 BGR, cut from the annotated frame
    crop: np.ndarray | None  # the classifier's input


@dataclass(frozen=True, slots=True)
class Count:
    """What was seen in one bin of time."""

    at: float  # Unix time of its start
    detections: dict[str, int]  # by label
    in_view: dict[str, float]  # by label: the average number in view at a time, over all sources together


class Board:
    """What the frames have shown so far.

    fps: maximum pictures per second and camera. width: maximum pixels on the longer side of a picture.
    quality: of the JPEG, 1 to 100. name: gives a source's unique name, since two may have the same name.
    """

    def __init__(
        self, fps: float, width: int, quality: int, name: Callable[[Source], str] = lambda source: source.name
    ) -> None:
        self.fps, self.width, self.quality, self._name = fps, width, quality, name
        self.cameras: tuple[Camera, ...] = ()
        self.latest: tuple[Sighting, ...] = ()  # the newest first
        self.kept: dict[int, Sighting] = {}  # by number
        self.history: tuple[Count, ...] = ()  # the oldest first; the last one is still growing
        self.closed = False  # no more frames will come
        self._number = 0
        self._shown: dict[tuple[str, object], float] = {}  # object: when it was last among the latest
        self._bin = 0.0
        self._frames: Counter[str] = Counter()
        self._labels: Counter[tuple[str, str]] = Counter()

    def show(self, frame: Frame) -> None:
        """Copy what is new on a frame; keeps no reference to the frame."""
        now, size = time.monotonic(), (frame.image.shape[1], frame.image.shape[0])
        name = self._name(frame.source)
        camera = next((each for each in self.cameras if each.name == name), None)
        if camera is None:
            self.cameras = (*self.cameras, camera := Camera(name, size, now))
        camera.pause = now - camera.seen
        camera.seen, camera.size = now, size
        pace = 1 / self.fps if now < camera.wanted else UNWATCHED
        if now >= camera.due:
            number = camera.picture.number + 1 if camera.picture else 1
            camera.picture = Picture(number, shrink(frame.image, self.width), self.quality)
            camera.due = max(camera.due, now - pace)  # a slightly late frame does not slow down the rest
            camera.due += pace
        camera.due = min(camera.due, now + pace)
        self._list(frame, camera.name, now)
        self._count(frame, camera.name)

    def _list(self, frame: Frame, source: str, now: float) -> None:
        """Put a frame's detections at the front of the latest; an object with a track appears only once."""
        fresh: list[Sighting] = []
        for d in frame.detections:
            key = (source, name_of(d) if d.track is None else d.track)
            if now - self._shown.get(key, -AGAIN) < AGAIN:
                continue
            self._shown[key] = now
            self._number += 1
            fresh.append(_sighting(self._number, frame, source, d))
            self.kept[self._number] = fresh[-1]
            self.kept.pop(self._number - KEPT, None)
        if not fresh:
            return
        tracks = {(s.row["source"], s.row["track"]) for s in fresh if s.row["track"] is not None}
        others = [s for s in self.latest if (s.row["source"], s.row["track"]) not in tracks]
        self.latest = (*reversed(fresh), *others)[:LATEST]
        if len(self._shown) > 1000:
            self._shown = {key: at for key, at in self._shown.items() if now - at < AGAIN}

    def _count(self, frame: Frame, source: str) -> None:
        start = time.time() // BIN * BIN
        if start != self._bin:
            self._bin = start
            self._frames.clear()
            self._labels.clear()
            self.history = (*self.history[1 - BINS :], Count(start, {}, {}))
        self._frames[source] += 1
        self._labels.update((source, name_of(d)) for d in frame.detections)
        total: Counter[str] = Counter()
        mean: defaultdict[str, float] = defaultdict(float)
        for (name, label), count in self._labels.items():
            total[label] += count
            mean[label] += count / self._frames[name]
        self.history = (*self.history[:-1], Count(start, dict(total), dict(mean)))


def name_of(detection: Detection) -> str:
    """The name a detection is counted under: its label, or what the detector saw if it has none."""
    return detection.label or detection.kind


def encode(image: np.ndarray, quality: int) -> bytes:
    """A picture as a JPEG file."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _sighting(number: int, frame: Frame, source: str, detection: Detection) -> Sighting:
    x0, y0, x1, y1 = detection.box
    picture = frame.image[y0:y1, x0:x1]
    if not picture.size:  # a stage has shrunk the picture since the object was found
        picture = np.zeros((1, 1, 3), np.uint8)
    thumbnail = shrink(picture, THUMBNAIL)
    row = to_row(frame, detection) | {"source": source}
    crop = None if detection.crop is None else detection.crop.copy()
    return Sighting(number, row, utc(since_1970(frame.captured)), thumbnail, crop)
