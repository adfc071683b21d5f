"""A drawing surface for garments, and the lines to draw on it.

Everything is in units: a garment's long side is about 100, x = 0 is its middle, y points down. Parts are painted
back to front; folds, seams and patterns go on the part painted last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

Point = tuple[float, float]
Colour = tuple[int, int, int]  # red, green, blue

UNIT = 5  # sprite pixels a unit
HALF_WIDTH, TOP, BOTTOM = 58, -6, 106  # what a sheet covers, in units
SEAM = 0.72  # how much of the cloth's brightness is left along a seam


class Sheet:
    """A drawing surface for one garment."""

    def __init__(self, seed: int) -> None:
        self.height, self.width = (BOTTOM - TOP) * UNIT, 2 * HALF_WIDTH * UNIT
        self.colour = np.zeros((self.height, self.width, 3), np.float32)
        self.alpha = np.zeros((self.height, self.width), np.float32)
        self.part = self.alpha  # coverage of the part painted last, 0..1
        noise = np.random.default_rng(seed).normal(size=self.alpha.shape).astype(np.float32)
        fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.2), cv2.GaussianBlur(noise, (0, 0), 3 * UNIT)
        self.cloth = 1 + 0.018 * fine / fine.std() + 0.008 * coarse / coarse.std()

    def paint(self, outline: Sequence[Point], colour: Colour, puff: float = 0.22, rim: float = 0.16) -> None:
        """Paint a part over what is there: lit from the upper left (`puff`), darker along its edge (`rim`)."""
        self.part = self.cover(outline)
        round_ = cv2.GaussianBlur(self.part, (0, 0), 3.0 * UNIT)
        slope = (cv2.Sobel(round_, -1, 1, 0) * 0.8 + cv2.Sobel(round_, -1, 0, 1) * 0.6) * UNIT
        depth = cv2.distanceTransform((self.part > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / UNIT
        shade = (1 + puff * slope) * (1 - rim * np.exp(-depth / 1.2)) * self.cloth
        cover = self.part[..., None]
        self.colour = self.colour * (1 - cover) + np.array(colour, np.float32) * shade[..., None] * cover
        self.alpha = np.maximum(self.alpha, self.part)

    def fold(self, points: Sequence[Point], width: float = 2.5, depth: float = 0.16) -> None:
        """Shade the last part along a soft line; a negative depth is a highlight."""
        soft = cv2.GaussianBlur(self._stroke(points, width), (0, 0), width * UNIT * 0.6)
        self._multiply(1 - depth * soft)

    def seam(self, points: Sequence[Point], width: float = 0.9, left: float = SEAM) -> None:
        """Darken the last part along a sharp line to `left` of its brightness (more than 1: lighten)."""
        self._multiply(1 - (1 - left) * self._stroke(points, width))

    def stitch(self, points: Sequence[Point], left: float = 0.78) -> None:
        """Sew a dashed line onto the last part."""
        along = np.array(points)
        steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(along, axis=0).T))])
        for start in np.arange(0, steps[-1], 2.4):
            ends = start, min(start + 1.4, steps[-1])
            xs, ys = (np.interp(ends, steps, along[:, axis]) for axis in (0, 1))
            self.seam([(xs[0], ys[0]), (xs[1], ys[1])], 0.55, left)

    def stripes(self, step: float, left: float, width: float = 0.8, across: bool = False) -> None:
        """Cover the last part with parallel lines: ribs, stripes, knit."""
        ys, xs = np.mgrid[: self.height, : self.width].astype(np.float32) / UNIT
        phase = (ys if across else xs) % step
        line = np.clip((width / 2 - np.abs(phase - step / 2)) * UNIT + 0.5, 0, 1)
        self._multiply(1 - (1 - left) * line)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Sew on a button."""
        part = self.part
        self.paint(oval(x, y, radius, radius), colour, puff=0.1, rim=0.3)
        self.part = part

    def sprite(self) -> np.ndarray:
        """(height, width, 4) uint8: blue, green, red, coverage; the colours are multiplied by the coverage."""
        picture = np.dstack([self.colour[..., ::-1] * (self.alpha > 0)[..., None], 255 * self.alpha])
        picture[..., :3] = np.minimum(picture[..., :3], picture[..., 3:])
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8)

    def cover(self, outline: Iterable[Point]) -> np.ndarray:
        """How much of each pixel is inside the outline: (height, width) float32, 0..1."""
        canvas = np.zeros((self.height, self.width), np.uint8)
        cv2.fillPoly(canvas, [self._pixels(outline)], 255, cv2.LINE_AA, shift=4)
        return canvas.astype(np.float32) / 255

    def _pixels(self, points: Iterable[Point]) -> np.ndarray:
        moved = (np.array(list(points)) + np.array((HALF_WIDTH, -TOP))) * UNIT * 16  # 4 fractional bits
        return np.round(moved).astype(np.int32)

    def _stroke(self, points: Iterable[Point], width: float) -> np.ndarray:
        canvas = np.zeros((self.height, self.width), np.uint8)
        thick = max(1, round(width * UNIT))
        cv2.polylines(canvas, [self._pixels(points)], False, 255, thick, cv2.LINE_AA, shift=4)
        return canvas.astype(np.float32) / 255

    def _multiply(self, factor: np.ndarray) -> None:
        self.colour *= (1 - self.part * (1 - factor))[..., None]


def curve(*points: Point) -> list[Point]:
    """A smooth open line through the points (Catmull-Rom)."""
    p = np.array([points[0], *points, points[-1]], float)
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return [(float(x), float(y)) for x, y in [*np.concatenate(pieces), p[-1]]]


def oval(x: float, y: float, width: float, height: float) -> list[Point]:
    """An ellipse around (x, y) with these half axes."""
    return [(x + width * np.cos(a), y + height * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 48)]


def flip(points: Sequence[Point]) -> list[Point]:
    """The same line on the other side, drawn backwards."""
    return [(-x, y) for x, y in reversed(points)]


def both(half: Sequence[Point]) -> list[Point]:
    """A symmetric outline from its right half, drawn from the top to the bottom."""
    return [*half, *flip(half)]


def ribbon(points: Sequence[Point], width: float) -> list[Point]:
    """A band of this width along a line: a strap or a handle."""
    p = np.array(points)
    along = np.gradient(p, axis=0)
    side = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True) * width / 2
    return [(float(x), float(y)) for x, y in [*(p + side), *(p - side)[::-1]]]
