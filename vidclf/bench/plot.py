"""The plots of the page of figures as SVG, readable on light and dark pages; the only file here that needs matplotlib.

The same matplotlib draws the same bytes, so a plot changes only with its figures or with the version.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, BLUE = "#808080", "#2f81f7"
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "vidclf",  # without it the names inside are random
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.3,
    "text.parse_math": False,
}


class Point(NamedTuple):
    """A value at a place on the axis, with the minimum and maximum of its rounds."""

    at: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, at: object, spread: dict[str, float]) -> Point:
        """From a median and its spread; one round has none."""
        middle = spread["median"]
        return cls(str(at), middle, spread.get("min", middle), spread.get("max", middle))

    @property
    def words(self) -> str:
        """The value with three digits, or all those before the decimal point."""
        return f"{self.value:.3g}" if self.value < 1000 else f"{self.value:.0f}"


def line(title: str, axis: str, unit: str, points: Sequence[Point]) -> str:
    """The points in the given order, evenly spaced and joined by a line; the spread is a band."""

    def draw(axes: Axes) -> None:
        places, values = range(len(points)), [point.value for point in points]
        axes.fill_between(places, [p.low for p in points], [p.high for p in points], color=BLUE, alpha=0.2, lw=0)
        axes.plot(places, values, color=BLUE, marker="o", markersize=5)
        for place, point in zip(places, points, strict=True):
            axes.annotate(point.words, (place, point.value), (0, 6), textcoords="offset points", ha="center")
        axes.set_xticks(places, [point.at for point in points])
        axes.set(xlabel=axis, xlim=(-0.5, len(points) - 0.5), ylim=(0, 1.12 * max(point.high for point in points)))
        axes.grid(axis="y")

    return _svg(f"{title}: {unit} by {axis}", 2.8, draw)


def bars(title: str, unit: str, points: Sequence[Point]) -> str:
    """A horizontal bar per point, the longest first, with the spread as a line across its end."""
    ordered = sorted(points, key=lambda point: point.value, reverse=True)

    def draw(axes: Axes) -> None:
        spread = [[p.value - p.low for p in ordered], [p.high - p.value for p in ordered]]
        style = {"ecolor": INK, "elinewidth": 2}
        axes.barh([p.at for p in ordered], [p.value for p in ordered], 0.7, color=BLUE, xerr=spread, error_kw=style)
        for row, point in enumerate(ordered):
            axes.annotate(point.words, (point.high, row), (6, 0), textcoords="offset points", va="center")
        axes.set(xlim=(0, 1.15 * max(point.high for point in ordered)))
        axes.invert_yaxis()
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)

    return _svg(f"{title} ({unit})", 0.5 + 0.3 * len(points), draw)


def _svg(title: str, height: float, draw: Callable[[Axes], None]) -> str:
    """What `draw` makes of empty axes; height: of the picture, in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold")
        file = io.StringIO()
        metadata = {"Title": title, **dict.fromkeys(("Creator", "Date", "Format", "Type"))}
        figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    return "\n".join(row.rstrip() for row in file.getvalue().splitlines()) + "\n"
