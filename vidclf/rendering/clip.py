"""One rendered clip: its objects, its frames, and their ground truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from vidclf.rendering import scene
from vidclf.rendering.levels import Level
from vidclf.rendering.wardrobe import Wardrobe

RATE = Fraction(25)
EMPTY = 1.0  # seconds of the empty scene, for detectors that learn the background
SPEED = 0.75  # picture heights per second
MARGIN = 0.4  # picture heights outside each side where objects start and end: none is wider than twice this
VISIBLE = 1 / 3  # an object has a truth row while at least this share of it is visible
DARK = 0.28  # brightness factor of dark objects

Row = dict[str, int | float | str]


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """One object's path through the clip."""

    number: int  # in the truth
    label: str
    sprite: np.ndarray  # (h, w, 4) uint8, at its size in the picture
    enters: float  # seconds
    y: float  # pixels, of its centre
    leftwards: bool
    phase: float  # of its rotation and scaling


class Clip:
    """A clip that is drawn frame by frame; the same arguments draw the same pixels.

    size: (width, height). number: which clip of the series; it decides which objects it gets.
    """

    def __init__(self, wardrobe: Wardrobe, level: Level, size: tuple[int, int], seconds: float, seed: int, number: int):
        self.level, self.size, self.seconds = level, size, seconds
        self.frames = round(seconds * RATE)
        random = np.random.default_rng([seed, 2, number])
        self._ground, self._pillars = scene.ground(size, level, random), scene.pillars(size, level, random)
        self._phases = random.uniform(0, 2 * np.pi, 3)
        self._crossing = (size[0] / size[1] + 2 * MARGIN) / SPEED
        self.actors = self._cast(wardrobe, seed, number, random)
        self._noise_seed = [seed, 3, number]

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[Row]]]:
        """Every frame as (height, width, 3) uint8 BGR, and its truth rows."""
        return (self.draw(number) for number in range(self.frames))

    def draw(self, number: int) -> tuple[np.ndarray, list[Row]]:
        """One frame and its truth rows: boxes of the visible part of each object."""
        time = float(number / RATE)
        camera = scene.camera(self.level, self.size, time, self._phases)
        picture = cv2.warpAffine(self._ground, camera, self.size, borderMode=cv2.BORDER_REFLECT)
        here = [actor for actor in self.actors if actor.enters <= time <= actor.enters + self._crossing]
        covers: list[np.ndarray] = []  # of each actor, then of the pillars; later ones are in front
        for actor in here:
            way = self._place(actor, time)
            if self.level.shadow:
                self._cast_shadow(picture, actor, camera, way)
            covers.append(_paste(picture, actor.sprite.astype(np.float32) / (1, 1, 1, 255), _chain(camera, way)))
        front = cv2.warpAffine(self._pillars, camera, self.size, borderMode=cv2.BORDER_REFLECT)
        picture = picture * (1 - front[..., 3:]) + front[..., :3]
        rows = self._truth(number, here, [*covers, front[..., 3]])
        picture = picture * scene.light(self.level, time, self.seconds)
        if self.level.noise:
            random = np.random.default_rng([*self._noise_seed, number])
            picture += self.level.noise * random.standard_normal(picture.shape, np.float32)
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8), rows

    def _cast(self, wardrobe: Wardrobe, seed: int, number: int, random: np.random.Generator) -> list[Actor]:
        """The objects of each lane: as many as cover at least half of their path."""
        level, height = self.level, self.size[1]
        gap = level.spacing / SPEED
        per_lane = max(1, int((self.seconds - EMPTY - self._crossing / 2) / gap) + 1)
        actors = []
        for index in range(per_lane * len(level.lanes)):
            turn, lane = divmod(index, len(level.lanes))
            label, sprite = wardrobe.deal(number * per_lane * len(level.lanes) + index, seed)
            scale = random.uniform(*level.length) * height / max(sprite.shape[:2])
            shrunk = cv2.resize(sprite, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if random.random() < level.dark:
                shrunk[..., :3] = shrunk[..., :3] * DARK
            enters = EMPTY + (turn + lane / len(level.lanes) / 2) * gap
            phase = random.uniform(0, 2 * np.pi)
            actors.append(Actor(index, label, shrunk, enters, level.lanes[lane] * height, bool(lane % 2), phase))
        return actors

    def _place(self, actor: Actor, time: float) -> np.ndarray:
        """(2, 3) matrix from the sprite to the scene."""
        width, height = self.size
        done = (time - actor.enters) / self._crossing
        x = (done * (width / height + 2 * MARGIN) - MARGIN) * height
        rows, columns = actor.sprite.shape[:2]
        angle = self.level.sway * np.sin(2 * np.pi * 1.3 * done + actor.phase)
        grown = 1 + self.level.zoom * np.sin(np.pi * (done - 0.5)) * np.cos(actor.phase)
        turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, grown)
        turn[:, 2] += ((width - x if actor.leftwards else x) - columns / 2, actor.y - rows / 2)
        return turn

    def _cast_shadow(self, picture: np.ndarray, actor: Actor, camera: np.ndarray, way: np.ndarray) -> None:
        """Darken the ground beside and below the object, softly."""
        reach = actor.sprite.shape[0] // 12
        shade = cv2.GaussianBlur(np.pad(actor.sprite[..., 3], reach), (0, 0), reach / 2 + 0.5).astype(np.float32)
        layer = np.dstack([np.zeros((*shade.shape, 3), np.float32), shade * (self.level.shadow / 255)])
        moved = way.copy()
        moved[:, 2] += way[:, :2] @ (-reach, -reach) + (0.8 * reach, 0.8 * reach)
        _paste(picture, layer, _chain(camera, moved))

    def _truth(self, number: int, here: list[Actor], covers: list[np.ndarray]) -> list[Row]:
        rows: list[Row] = []
        for index, actor in enumerate(here):
            seen = covers[index].copy()
            for cover in covers[index + 1 :]:
                seen *= 1 - cover
            grown = np.linalg.det(self._place(actor, number / float(RATE))[:, :2])
            whole = actor.sprite[..., 3].sum(dtype=np.float64) / 255 * grown
            x, y, width, height = cv2.boundingRect((seen >= 0.5).astype(np.uint8))
            if seen.sum(dtype=np.float64) >= VISIBLE * whole and width and height:
                box = {"x0": x, "y0": y, "x1": x + width, "y1": y + height}
                frame = {"frame": number, "time": number / float(RATE)}
                rows.append({**frame, "object": actor.number, **box, "label": actor.label})
        return sorted(rows, key=lambda row: row["object"])


def _chain(camera: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The matrix of `way` followed by `camera`."""
    return camera[:, :2] @ way + np.pad(camera[:, 2:], ((0, 0), (2, 0)))


def _paste(picture: np.ndarray, layer: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Lay a sprite over the picture, in place; returns its coverage there, (h, w) float32 0..1.

    layer: (h, w, 4) float32, colour 0..255 multiplied by coverage, and coverage 0..1.
    """
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), np.float32)
    rows, columns = layer.shape[:2]
    corners = matrix @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]])
    x0, y0 = np.clip(np.floor(corners.min(axis=1)).astype(int), 0, (width, height))
    x1, y1 = np.clip(np.ceil(corners.max(axis=1)).astype(int) + 1, 0, (width, height))
    if x0 < x1 and y0 < y1:
        moved = matrix - np.array([[0, 0, x0], [0, 0, y0]])
        here = cv2.warpAffine(layer, moved, (int(x1 - x0), int(y1 - y0)))
        part = picture[y0:y1, x0:x1]
        part *= 1 - here[..., 3:]
        part += here[..., :3]
        cover[y0:y1, x0:x1] = here[..., 3]
    return cover
