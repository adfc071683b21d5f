"""Frames made by hand, for tests that need no video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from vidclf.frame import Frame, Source


def make_source(name: str = "clip", size: tuple[int, int] = (32, 24), rate: int = 25) -> Source:
    return Source(name, size, rate=Fraction(rate), time_base=Fraction(1, rate))


def make_frames(count: int, source: Source | None = None) -> Iterator[Frame]:
    """Frames whose picture is all of one value: their index modulo 256."""
    source = source or make_source()
    for index in range(count):
        width, height = source.size
        yield Frame(source, index, index, np.full((height, width, 3), index % 256, np.uint8))


class Frames:
    """A source of frames made by hand."""

    def __init__(self, count: int, name: str = "clip"):
        self.count, self.name = count, name

    def __call__(self, _: object) -> Iterator[Frame]:
        yield from make_frames(self.count, make_source(self.name))
