"""The type of options that take a time."""

from __future__ import annotations

from typing import Any

import click

from vidclf.errors import UsageError
from vidclf.units import to_seconds


class Duration(click.ParamType):
    """A time like 90s, 10m or 1h30m, as seconds; a number alone is seconds.

    least: seconds that it must be; by default any, but some.
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
