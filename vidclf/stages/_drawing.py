"""Sizes, colours and positions of everything drawn on a frame; draws nothing itself.

Everything here is arithmetic on numbers and names, so it is the same in every run and on every machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vidclf.frame import Box
from vidclf.models.zoo import FASHION_MNIST

Position = Literal["above", "inside"]

# Sasha Trubetskoy's "20 simple, distinct colors" (https://sashamaps.net/docs/resources/20-colors/) without its
# greys and near-blacks. The first ten belong to Fashion-MNIST's classes, in the data set's order: no two share one.
COLOURS = (
    *("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#b14bd4", "#42d4f4", "#f032e6", "#bfef45", "#469990"),
    *("#fabed4", "#dcbeff", "#9a6324", "#fffac8", "#aaffc3", "#808000", "#ffd8b1"),
    *("#b4b4b4", "#202020"),
)
UNKNOWN, OVERLAY = len(COLOURS) - 2, len(COLOURS) - 1  # grey: the classifier abstained; near-black: the fps plate
GARMENTS = tuple(name.casefold() for name in FASHION_MNIST)


def colour_of(name: str) -> int:
    """The index into COLOURS of a class name: the same on every frame, in every run, in any order of appearance.

    Names outside Fashion-MNIST are spread over the palette by a checksum, so two of them may share a colour.
    """
    name = name.casefold()
    return GARMENTS.index(name) if name in GARMENTS else zlib.crc32(name.encode()) % UNKNOWN


def colour_of_track(track: int) -> int:
    """The index into COLOURS of a track: neighbouring numbers differ."""
    return track % UNKNOWN


def text_colour(colour: str) -> str:
    """Black or white, whichever has the higher contrast on a '#rrggbb' colour (WCAG 2 relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


@dataclass(frozen=True, slots=True)
class Look:
    """Sizes in pixels for one frame size."""

    line: int  # width of box and trail lines
    text: float  # OpenCV's font scale: capitals are about 20 pixels high at 1.0
    weight: int  # OpenCV's stroke thickness of text
    padding: int  # around text, and between overlays and the frame's border
    inset: int  # side of the inset: 28 pixels three times enlarged at 480 lines

    @classmethod
    def of(cls, width: int, height: int, scale: float = 1.0) -> Look:
        """Sizes that grow with the frame's shorter side, but text never shrinks below what can be read."""
        short = min(width, height)
        text = scale * max(0.5, short / 1050)
        return cls(
            line=max(2, round(scale * short / 270)),
            text=text,
            weight=1 if text < 0.6 else 2,
            padding=max(3, round(9 * text)),
            inset=min(28 * max(2, round(scale * 3 * short / 480)), short // 2),
        )


def place(
    sizes: Sequence[tuple[int, int]],
    boxes: Sequence[Box],
    frame: tuple[int, int],
    position: Position = "above",
    taken: Iterable[Box] = (),
) -> list[Box]:
    """Where each caption goes: at its box, fully inside the frame, and clear of the captions placed before it.

    sizes: (width, height) of each caption. frame: (width, height) of the picture. taken: rectangles to keep clear.
    A caption tries above its box, inside at the top, inside at the bottom, below ("inside": the bottom first), and
    then further away, left- and right-aligned. If all are taken, the place that hides least wins. Boxes too low to
    stay visible behind a caption get theirs outside.
    """
    placed = list(taken)
    kept = len(placed)
    for (width, height), (x0, y0, x1, y1) in zip(sizes, boxes, strict=True):
        outside = [y for step in range(3) for y in (y0 - height * (step + 1), y1 + height * step)]
        inside = [y1 - height, y0] if position == "inside" else [y0, y1 - height]
        if y1 - y0 < 2 * height:
            rows = outside + inside
        elif position == "inside":
            rows = inside + outside
        else:
            rows = outside[:1] + inside + outside[1:]
        rows = [y for y in rows if 0 <= y <= frame[1] - height] or [max(0, min(y0, frame[1] - height))]
        lefts = [max(0, min(x, frame[0] - width)) for x in (x0, x1 - width)]
        candidates = [(x, y, x + width, y + height) for y in rows for x in lefts]
        placed.append(_clearest(candidates, placed))
    return placed[kept:]


def _clearest(candidates: Sequence[Box], placed: Sequence[Box]) -> Box:
    """The first candidate that hides nothing, else the one that hides least."""
    lefts, tops, rights, bottoms = zip(*candidates, strict=True)
    x0, y0, x1, y1 = min(lefts), min(tops), max(rights), max(bottoms)
    near = [p for p in placed if p[0] < x1 and x0 < p[2] and p[1] < y1 and y0 < p[3]]  # few, even in a crowd
    least = candidates[0], float("inf")
    for candidate in candidates:
        hidden = sum(_overlap(candidate, other) for other in near)
        if not hidden:
            return candidate
        if hidden < least[1]:
            least = candidate, hidden
    return least[0]


def _overlap(a: Box, b: Box) -> int:
    """Pixels two rectangles share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0
