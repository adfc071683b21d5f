from __future__ import annotations

from reprlib import repr as shown
from typing import Any

import pytest

from vidclf.errors import UsageError
from vidclf.models.checkpoint import read_header
from vidclf.models.header import FIELDS, check_header

HEADER = read_header("lean")
NOT_TEXT, NOT_A_NUMBER = (None, 3, True, [], {}), (None, True, "1", [1], {}, float("nan"), float("inf"), 10**400)
NOT_AN_OBJECT = (None, 3, "abc", ["size"], [["size", 28]])


def problem(header: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as told:
        check_header(header)
    return str(told.value)


def test_what_training_writes_is_checked_field_by_field() -> None:
    check_header(HEADER)
    for_people = {"schema", "validation_top1", "seed", "data", "epochs", "commit"}
    assert HEADER.keys() - for_people == FIELDS.keys() - {"bin"}


def test_what_is_missing_is_named() -> None:
    assert problem({"architecture": "lean"}) == "the header lacks labels, preprocess, temperature"


@pytest.mark.parametrize(
    ("field", "values", "wanted"),
    [
        ("architecture", NOT_TEXT, "text"),
        (
            "labels",
            (None, 3, "cat", {}, [], ["cat", 3], ["cat", None], [["cat"]], ["cat", "cat"]),
            "a list of different names",
        ),
        ("preprocess", NOT_AN_OBJECT, "an object"),
        ("temperature", (*NOT_A_NUMBER, 0, -1.5, 1e-30, 1e4), "0.001 to 1000"),
        ("mean", NOT_A_NUMBER, "a number"),
        ("std", NOT_A_NUMBER, "a number"),
        ("parameters", (None, 1.5, True, "many"), "a whole number"),
        ("metrics", NOT_AN_OBJECT, "an object"),
        ("config", NOT_AN_OBJECT, "an object"),
        ("versions", (*NOT_AN_OBJECT, {"vidclf": 3}), "an object of names and text"),
        ("seconds", NOT_A_NUMBER, "a number"),
        ("created", NOT_TEXT, "text"),
        ("command", NOT_TEXT, "text"),
        ("bin", NOT_TEXT, "text"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(field: str, values: tuple[object, ...], wanted: str) -> None:
    for value in values:
        assert problem(HEADER | {field: value}) == f"the header's {field} must be {wanted}, got {shown(value)}"


@pytest.mark.parametrize(
    ("field", "values", "wanted"),
    [
        ("size", (None, "28", 28.0, True, [28]), "a whole number"),
        ("channels", (None, "1", True, {}), "a whole number"),
        ("aspect", NOT_TEXT, "text"),
        ("mask", (None, 1, "true", []), "true or false"),
        ("padding", NOT_A_NUMBER, "a number"),
        ("polarity", NOT_TEXT, "text"),
    ],
)
def test_a_field_of_the_preprocessing_of_the_wrong_kind_is_named(
    field: str, values: tuple[object, ...], wanted: str
) -> None:
    for value in values:
        words = f"the header's preprocess: {field} must be {wanted}, got {shown(value)}"
        assert problem(HEADER | {"preprocess": HEADER["preprocess"] | {field: value}}) == words


def test_the_preprocessing_must_be_one_that_there_is() -> None:
    words = "the header's preprocess: unknown preprocessing fields: colour"
    assert problem(HEADER | {"preprocess": {"colour": "red"}}) == words
    words = "the header's preprocess: size must be 8 to 1024 pixels, got 4"
    assert problem(HEADER | {"preprocess": {"size": 4}}) == words


def test_a_long_value_is_shown_in_short() -> None:
    assert len(problem(HEADER | {"labels": "a" * 10_000})) < 100
