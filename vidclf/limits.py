"""Checks of the values of options; an error says what is allowed, and what was given."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from vidclf.errors import UsageError


def check_range(name: str, value: float, low: float, high: float | None = None, unit: str = "") -> None:
    """Raise UsageError unless `value` is from `low` to `high`, both included; NaN is not."""
    if value >= low and (high is None or value <= high):
        return
    allowed = f"at least {low}" if high is None else f"{low} to {high}"
    raise UsageError(f"{name} must be {f'{allowed} {unit}'.strip()}, got {value}")


def check_size(name: str, size: tuple[int, int], least: int, most: int) -> None:
    """Raise UsageError unless width and height are from `least` to `most` pixels."""
    if not least <= min(size) <= max(size) <= most:
        raise UsageError(f"{name} must be {least}x{least} to {most}x{most}, got {size[0]}x{size[1]}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise UsageError unless `value` is one of the choices."""
    if value not in choices:
        raise UsageError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean motion?", or "" if no known word is like it."""
    alike = {each.lower(): each for each in known}
    guess = get_close_matches(word.lower(), alike, 1)
    return f"; did you mean {alike[guess[0]]}?" if guess else ""
