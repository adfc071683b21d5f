"""The engine's own cost: passing a frame through stages that do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from time import perf_counter

import numpy as np

from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline


def engine_cost(frames: int, stages: int) -> float:
    """Microseconds per frame of a pipeline with one source and `stages` empty stages."""
    source, image = Source("bench", (8, 8), time_base=Fraction(1, 25)), np.zeros((8, 8, 3), np.uint8)

    def produce(_: object) -> Iterator[Frame]:
        return (Frame(source, index, index, image) for index in range(frames))

    def pass_on(received: Iterable[Frame]) -> Iterator[Frame]:
        yield from received

    began = perf_counter()
    Pipeline([produce, *[pass_on] * stages]).run()
    return (perf_counter() - began) / frames * 1e6
