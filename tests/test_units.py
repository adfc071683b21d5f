from __future__ import annotations

import pytest

from vidclf.errors import UsageError
from vidclf.units import to_bytes, to_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), (2.5, 2.5), ("500ms", 0.5), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("1W", 604_800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert to_seconds(text, "segment") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "10x", "m", "-5", "1,5s", "10m later"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^segment must be a time above 0, like 90s, 10m or 1h30m, got "):
        to_seconds(text, "segment")


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400, 10**30])
def test_a_time_beyond_any_use_is_refused(text: str | int) -> None:
    with pytest.raises(UsageError, match=r"^start must be a time of at most 100 years, got "):
        to_seconds(text, "start")


def test_a_size_beyond_any_use_is_only_large() -> None:
    assert to_bytes("9" * 400, "keep_size") == 10**15


def test_zero_may_be_allowed() -> None:
    assert to_seconds(0, "pre_roll", zero=True) == 0


@pytest.mark.parametrize(
    ("text", "size"), [(1000, 1000), ("500M", 500_000_000), ("50GB", 50_000_000_000), ("1.5t", 1_500_000_000_000)]
)
def test_sizes(text: str, size: int) -> None:
    assert to_bytes(text, "keep_size") == size


@pytest.mark.parametrize("text", ["", "0", "M", "5 bananas", "-1G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^keep_size must be a size above 0, like 500M or 50G, got "):
        to_bytes(text, "keep_size")
