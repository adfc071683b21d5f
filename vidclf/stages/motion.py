"""Motion: finds what moves: pixels that differ from the learned background, grouped into objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.limits import check_choice, check_range
from vidclf.preprocess import shrink
from vidclf.stages._background import Background, Knn, Mog2, Reference, Scene

Method = Literal["mog2", "knn", "reference"]
# OpenCV's defaults; the last is from the demo that `Reference` follows.
THRESHOLDS = {"mog2": 16.0, "knn": 400.0, "reference": 50.0}
WIDTHS = {"mog2": 320, "knn": 320, "reference": 640}  # 320: on the sample clip as good as 640, the run 1.6 x as fast
FRAMES, PIXELS = 10**6, 10**5  # more than any use has, and still numbers that OpenCV can hold
JUMP = 0.7  # more of the frame than this changed at once: the light or the scene did, not an object
CRUMB = 0.1  # a part smaller than this share of the smallest object is noise, not a part


class Motion:
    """Detect moving objects by background subtraction; needs a camera that stands still, and no model.

    The first frame is learned, so it has no detections. The background adapts to slow and sudden changes of light.
    Each detection has the kind "motion", its filled outline as mask, and as score the share of its box in the mask.

    method: `mog2` and `knn` are OpenCV's; `reference` compares with the first frame (`relearn` takes a new one).
    min_area: the smallest object, as a share of the frame's area.
    max_objects: keep only this many, the largest; None keeps all.
    history: frames over which mog2 and knn learn.
    threshold: how much a pixel must differ. mog2: squared distance in standard deviations, 16 if None;
      knn: squared distance in grey levels, 400; reference: grey levels, 50.
    shadows: whether a cast shadow belongs to the object (mog2 and knn; `reference` cannot tell).
    hold: frames for which an object that stopped still counts as one before it is learned (not knn).
    adapt: the weight of each new frame in the `reference` picture, where nothing moves; 0: it never changes.
    merge: two parts, one above the other, are one object if the gap is at most this share of the frame's height.
    width: larger pictures are searched in a copy whose longer side has this many pixels: 320 if None, reference: 640.
    """

    def __init__(
        self,
        method: Method = "mog2",
        min_area: float = 0.003,
        max_objects: int | None = None,
        history: int = 500,
        threshold: float | None = None,
        shadows: bool = False,
        hold: int = 300,
        adapt: float = 0.01,
        merge: float = 0.04,
        width: int | None = None,
    ):
        check_choice("method", method, get_args(Method))
        if not 0 < min_area < 1:
            raise UsageError(f"min_area must be between 0 and 1 (a share of the frame), got {min_area}")
        if threshold is not None and not threshold > 0:
            raise UsageError(f"threshold must be above 0, got {threshold}")
        if max_objects is not None:
            check_range("max_objects", max_objects, 1)
        check_range("history", history, 1, FRAMES, "frames")
        check_range("hold", hold, 0, FRAMES, "frames")
        check_range("adapt", adapt, 0, 1)
        check_range("merge", merge, 0, 1, "of the frame's height")
        if width is not None:
            check_range("width", width, 32, PIXELS, "pixels")
        self.method, self.min_area, self.max_objects = method, min_area, max_objects
        self.history, self.threshold = history, THRESHOLDS[method] if threshold is None else threshold
        self.width = WIDTHS[method] if width is None else width
        self.shadows, self.hold, self.adapt, self.merge = shadows, hold, adapt, merge
        self._lessons = 0  # how often relearn() was called

    def relearn(self) -> None:
        """Take the next frame of each source as the new background; may be called from any thread."""
        self._lessons += 1

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        scenes: dict[Source, tuple[int, Scene]] = {}
        for frame in frames:
            if frame.skip:
                yield frame
                continue
            image, lesson = shrink(frame.image, self.width), self._lessons
            learned, scene = scenes.get(frame.source, (lesson, None))
            found = self._find(scene, image) if scene and scene.shape == image.shape and learned == lesson else None
            if found is None:
                scenes[frame.source] = lesson, self._scene(image)
            else:
                frame.detections += [_to_detection(parts, image, frame.image) for parts in found[: self.max_objects]]
            yield frame

    @property
    def _adapts(self) -> bool:
        """Whether the background changes."""
        return self.method != "reference" or self.adapt > 0

    def _find(self, scene: Scene, image: np.ndarray) -> list[list[np.ndarray]] | None:
        """Each object as the outlines of its parts, the largest first; None if the whole scene has changed."""
        mask = scene.look(image)
        found = self._objects(mask)
        if self._adapts and np.count_nonzero(_fill_all(found, mask)) > JUMP * mask.size:
            return None
        objects: list[list[np.ndarray]] = []
        ghosts: list[list[np.ndarray]] = []
        for parts in found:
            (ghosts if scene.is_ghost(parts) else objects).append(parts)
        scene.learn(_fill_all(objects, mask), _fill_all(ghosts, mask))
        return objects

    def _scene(self, image: np.ndarray) -> Scene:
        background: Background
        if self.method == "reference":
            background = Reference(image, self.threshold, self.adapt)
        else:
            model = Mog2 if self.method == "mog2" else Knn
            background = model(image, self.history, self.threshold, self.shadows)
        return Scene(background, image, self.hold, self._adapts)

    def _objects(self, mask: np.ndarray) -> list[list[np.ndarray]]:
        """The outlines of each object's parts, the largest object first."""
        height, width = mask.shape
        smallest = self.min_area * height * width
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = [outline for outline in outlines if cv2.contourArea(outline) >= CRUMB * smallest]
        objects = [(sum(map(cv2.contourArea, parts)), parts) for parts in self._together(outlines, mask)]
        objects.sort(key=lambda item: item[0], reverse=True)
        return [parts for area, parts in objects if area >= smallest]

    def _together(self, outlines: list[np.ndarray], mask: np.ndarray) -> list[list[np.ndarray]]:
        """Join parts that are above each other: a belt in the colour of the wall does not make two people."""
        if len(outlines) < 2:
            return [outlines] if outlines else []
        gap = round(self.merge * mask.shape[0])
        stretched = cv2.dilate(_fill(outlines, mask.shape), np.ones((gap + 1, 1), np.uint8))
        _, labels = cv2.connectedComponents(stretched)
        objects: dict[int, list[np.ndarray]] = {}
        for outline in outlines:
            x, y = outline[0, 0]
            objects.setdefault(int(labels[y, x]), []).append(outline)
        return list(objects.values())


def _fill(outlines: list[np.ndarray], shape: tuple[int, ...], offset: tuple[int, int] = (0, 0)) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.drawContours(mask, outlines, -1, 255, cv2.FILLED, offset=offset)
    return mask


def _fill_all(objects: list[list[np.ndarray]], like: np.ndarray) -> np.ndarray:
    return _fill([part for parts in objects for part in parts], like.shape)


def _to_detection(parts: list[np.ndarray], searched: np.ndarray, image: np.ndarray) -> Detection:
    """The object with these outlines in `searched`, a smaller copy of `image`, in the pixels of `image`."""
    x, y, columns, rows = cv2.boundingRect(np.concatenate(parts))
    down, across = image.shape[0] / searched.shape[0], image.shape[1] / searched.shape[1]
    x0, y0, x1, y1 = round(x * across), round(y * down), round((x + columns) * across), round((y + rows) * down)
    mask = cv2.resize(_fill(parts, (rows, columns), (-x, -y)), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR) > 127
    return Detection((x0, y0, x1, y1), score=np.count_nonzero(mask) / mask.size, kind="motion", mask=mask)
