from __future__ import annotations

import click
import pytest

from vidclf.cli.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("600", 600), ("0.5", 0.5), (2.0, 2)]
)
def test_a_time_is_so_many_seconds(text: str | float, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    ("least", "text", "message"),
    [
        (None, "soon", "'soon' is not a duration; use 90s, 20m or 1h30m"),
        (None, "-5", "'-5' is not a duration; use 90s, 20m or 1h30m"),
        (None, "0m", "'0m' is not a duration; use 90s, 20m or 1h30m"),
        (1, "500ms", "'500ms' is too short: at least 1s"),
    ],
)
def test_what_is_not_a_duration_is_refused(least: float | None, text: str, message: str) -> None:
    with pytest.raises(click.BadParameter) as told:
        Duration(least).convert(text, None, None)
    assert told.value.message == message


def test_no_time_at_all_may_be_enough() -> None:
    assert Duration(least=0).convert("0", None, None) == 0
