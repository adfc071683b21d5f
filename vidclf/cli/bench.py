"""`vidclf bench`: what vidclf itself costs, measured on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from fractions import Fraction
from time import perf_counter

import click
import numpy as np

from vidclf.cli.execute import write_json
from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline


@click.group()
def bench() -> None:
    """Measure vidclf on this machine.

    \b
    Example:
      vidclf bench engine
    """


@bench.command()
@click.option("--frames", type=click.IntRange(min=100), default=20_000, show_default=True)
@click.option("--stages", type=click.IntRange(min=1, max=100), default=6, show_default=True)
@click.option("--repeat", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON; - is stdout, without the line.")
def engine(frames: int, stages: int, repeat: int, json_file: str | None) -> None:
    """The engine's own cost: a frame's way through so many stages that do nothing.

    \b
    Example:
      vidclf bench engine --json -
    """
    costs = sorted(engine_cost(frames, stages) for _ in range(repeat))
    median = statistics.median(costs)
    figures = {"frames": frames, "stages": stages, "us_per_frame": [round(cost, 2) for cost in costs]}
    if json_file:
        write_json(figures | {"median_us_per_frame": round(median, 2)}, json_file)
    if json_file != "-":
        spread = f"{costs[0]:.1f} to {costs[-1]:.1f}"
        click.echo(f"{median:.1f} us a frame over {stages} empty stages (median of {repeat}, {spread})")


def engine_cost(frames: int, stages: int) -> float:
    """Microseconds a frame that a pipeline of one source and `stages` empty stages takes."""
    source, image = Source("bench", (8, 8), time_base=Fraction(1, 25)), np.zeros((8, 8, 3), np.uint8)

    def produce(_: object) -> Iterator[Frame]:
        return (Frame(source, index, index, image) for index in range(frames))

    def pass_on(received: Iterable[Frame]) -> Iterator[Frame]:
        yield from received

    began = perf_counter()
    Pipeline([produce, *[pass_on] * stages]).run()
    return (perf_counter() - began) / frames * 1e6
