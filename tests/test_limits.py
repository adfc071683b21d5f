from __future__ import annotations

from math import inf, nan

import pytest

from vidclf.errors import UsageError
from vidclf.limits import check_choice, check_range, check_size, did_you_mean


@pytest.mark.parametrize(
    ("value", "limits", "allowed"),
    [
        (0, (1,), "at least 1"),
        (nan, (1,), "at least 1"),
        (-1, (0, None, "seconds"), "at least 0 seconds"),
        (1.5, (0, 1), "0 to 1"),
        (nan, (0, 1), "0 to 1"),
        (inf, (0, 3600, "seconds"), "0 to 3600 seconds"),
    ],
)
def test_what_is_outside_is_told_with_what_is_allowed(value: float, limits: tuple, allowed: str) -> None:
    with pytest.raises(UsageError) as told:
        check_range("lost", value, *limits)
    assert str(told.value) == f"lost must be {allowed}, got {value}"


def test_both_ends_are_inside() -> None:
    for value in (0, 0.5, 1):
        check_range("share", value, 0, 1)
    check_range("count", 10**30, 1)


@pytest.mark.parametrize("size", [(1, 5), (5, 9)])
def test_both_sides_of_a_size_are_checked(size: tuple[int, int]) -> None:
    check_size("size", (2, 8), 2, 8)
    with pytest.raises(UsageError, match=rf"^size must be 2x2 to 8x8, got {size[0]}x{size[1]}$"):
        check_size("size", size, 2, 8)


def test_one_of_the_choices() -> None:
    check_choice("order", "name", ("name", "size"))
    with pytest.raises(UsageError, match=r"^order must be one of name, size, got None$"):
        check_choice("order", None, ("name", "size"))


@pytest.mark.parametrize(
    ("word", "hint"), [("moton", "; did you mean motion?"), ("t-SHIRT", "; did you mean T-shirt?"), ("x", "")]
)
def test_an_unknown_word_brings_the_known_one_that_is_like_it_to_mind(word: str, hint: str) -> None:
    assert did_you_mean(word, ["motion", "T-shirt"]) == hint
