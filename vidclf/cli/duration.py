"""The click type of options that take a duration."""

from __future__ import annotations

from typing import Any

import click

from vidclf.errors import UsageError
from vidclf.units import to_seconds


class Duration(click.ParamType):
    """A duration like 90s, 10m or 1h30m, in seconds; a plain number is seconds.

    least: the shortest allowed, in seconds; by default any above 0.
    """

    name = "time"

    def __init__(self, least: float | None = None):
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = to_seconds(value, "a time", zero=self.least is not None)
        except UsageError:
            self.fail(f"{value!r} is not a duration; use 90s, 20m or 1h30m", param, ctx)
        if self.least is not None and seconds < self.least:
            self.fail(f"{value!r} is too short: at least {self.least:g}s", param, ctx)
        return seconds
