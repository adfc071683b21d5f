"""The two charts of a report, as SVG in the page's colours: curves over epochs, and a reliability diagram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 10, 40  # room for the axes' labels, which are larger on a phone
OFF_SCALE = 10  # times the third quartile: values above it are cut off where `curves` may
COLOURS = ("one", "two")  # classes in page.html


def curves(series: Sequence[tuple[str, Points]], unit: str = "", axis: str = "epoch", cut: bool = False) -> str:
    """Up to two lines over the same axis; hovering over a point shows the values there.

    cut: leave outliers off the scale, see `highest`; the line leaves the chart there.
    """
    points = [point for _, line in series for point in line]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    values = [y for _, y in points]
    top = highest(values) if cut else max(values)
    ticks = nice_ticks(min(values), top)

    def x(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    parts = [_horizontal(y(tick), f"{tick:g}") for tick in ticks]
    epochs = [e for e in nice_ticks(first, last) if first <= e <= last and e == int(e)] or [first]
    parts += [_text(x(epoch), HEIGHT - 22, f"{epoch:g}", "middle") for epoch in epochs]
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 5, axis, "end"))
    for (_, line), colour in zip(series, COLOURS, strict=False):
        if line:
            path = "L".join(f"{x(e):.1f} {y(v):.1f}" for e, v in line)
            parts.append(f'<path class="{colour}" d="M{path}"/>')
            parts.append(f'<circle class="{colour}" cx="{x(line[-1][0]):.1f}" cy="{y(line[-1][1]):.1f}" r="3.5"/>')
    named = [(name, dict(line)) for name, line in series]
    places = sorted({e for e, _ in points})
    strip = (WIDTH - LEFT - RIGHT) / max(1, len(places) - 1)
    for epoch in places:
        told = ", ".join(f"{name} {line[epoch]:g}{unit}" for name, line in named if epoch in line)
        parts.append(
            f'<rect class="hover" x="{x(epoch) - strip / 2:.1f}" y="{TOP}" width="{strip:.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}"><title>{axis} {epoch:g}: {escape(told)}</title></rect>'
        )
    return _svg(parts, f"By {axis}: " + ", ".join(name for name, line in series if line))


def reliability(series: Sequence[tuple[str, Sequence[tuple[float, float, int]]]]) -> str:
    """Accuracy by confidence: (confidence, accuracy, count) of each bin, 0..1.

    On the dashed line the confidence equals the accuracy; below it the network is overconfident. A dot's area is its
    bin's share of the pictures.
    """
    side = HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - side * value

    parts = [_horizontal(y(tick / 4), f"{25 * tick} %") for tick in range(5)]
    parts += [_text(x(tick / 4), HEIGHT - 22, f"{25 * tick} %", "end" if tick == 4 else "middle") for tick in range(5)]
    parts.append(f'<path class="ideal" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>')
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 5, "confidence", "end"))
    parts.append(_text(LEFT + 6, TOP + 12, "accuracy", "start"))
    for (name, bins), colour in reversed(list(zip(series, COLOURS, strict=False))):
        total = sum(count for *_, count in bins)
        for confidence, accuracy, count in bins:
            told = f"{name}: confidence {confidence:.1%}, accuracy {accuracy:.1%}, {count:,} pictures"
            radius = 2.5 + 9 * math.sqrt(count / total)
            parts.append(
                f'<circle class="{colour}" cx="{x(confidence):.1f}" cy="{y(accuracy):.1f}" r="{radius:.1f}">'
                f"<title>{escape(told)}</title></circle>"
            )
    return _svg(parts, "Reliability diagram")


def highest(values: Sequence[float]) -> float:
    """The largest of these values >= 0 that is no outlier: one of 80 among losses below 1 would flatten the others."""
    third_quartile = sorted(values)[(len(values) - 1) * 3 // 4]
    return max(value for value in values if value <= OFF_SCALE * third_quartile)


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that enclose low..high, at most `most` steps apart: multiples of 1, 2 or 5 times a power of ten."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def _horizontal(y: float, label: str) -> str:
    return f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>' + _text(LEFT - 6, y + 4, label, "end")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(parts: Sequence[str], about: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(about)}">{"".join(parts)}</svg>'
