"""Small plots as SVG, readable on light and dark pages: a line of points with their spread, or bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 30, 42
INK, LINE, GRID = "#808080", "#2f81f7", "#8080804d"
STYLE = f'font-family="sans-serif" font-size="12" fill="{INK}"'


class Point(NamedTuple):
    """A value at a place on the axis, with the minimum and maximum of its rounds."""

    at: str
    value: float
    low: float
    high: float


def line(title: str, axis: str, unit: str, points: Sequence[Point]) -> str:
    """The points in the given order, evenly spaced and joined by a line; the spread is a band."""
    top = _round_up(max(point.high for point in points))
    xs = [LEFT + (WIDTH - LEFT - RIGHT) * (i + 0.5) / len(points) for i in range(len(points))]

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    edge = [(x, y(p.high)) for x, p in zip(xs, points, strict=True)]
    edge += [(x, y(p.low)) for x, p in reversed(list(zip(xs, points, strict=True)))]
    parts = _frame(title, f"{unit} by {axis}", top, y)
    parts.append(f'<polygon points="{_path(edge)}" fill="{LINE}" opacity="0.2"/>')
    middle = [(x, y(p.value)) for x, p in zip(xs, points, strict=True)]
    parts.append(f'<polyline points="{_path(middle)}" fill="none" stroke="{LINE}" stroke-width="2"/>')
    for (x, height), point in zip(middle, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{height:.1f}" r="3.5" fill="{LINE}"/>')
        parts.append(_text(x, height - 8, f"{point.value:.3g}" if point.value < 1000 else f"{point.value:.0f}"))
        parts.append(_text(x, HEIGHT - BOTTOM + 16, point.at))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, axis))
    return _svg(parts, title)


def bars(title: str, unit: str, points: Sequence[Point]) -> str:
    """A horizontal bar per point, the longest first, with the spread as a line across its end."""
    ordered = sorted(points, key=lambda point: point.value, reverse=True)
    longest, left, step = max(point.high for point in points), 210, 28
    height = TOP + step * len(ordered) + 12
    scale = (WIDTH - left - 70) / longest
    parts = [_text(8, 18, f"{title} ({unit})", "start", bold=True)]
    for i, point in enumerate(ordered):
        y = TOP + step * i + 4
        middle = y + 10
        parts.append(_text(left - 8, middle + 4, point.at, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{point.value * scale:.1f}" height="20" fill="{LINE}"/>')
        low, high = (left + value * scale for value in (point.low, point.high))
        parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="2"/>')
        parts.append(_text(high + 6, middle + 4, f"{point.value:.3g}", "start"))
    return _svg(parts, title, height)


def _frame(title: str, unit: str, top: float, y: Callable[[float], float]) -> list[str]:
    parts = [_text(8, 18, f"{title}: {unit}", "start", bold=True)]
    for n in range(5):
        value = top * n / 4
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(_text(LEFT - 6, y(value) + 4, f"{value:g}", "end"))
    return parts


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((n * power for n in (1, 2, 4, 6, 8) if n * power >= value), 10 * power)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str, height: float = HEIGHT) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" {STYLE}>'
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>"]) + "\n"
