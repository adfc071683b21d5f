"""Checks the header of a checkpoint, field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from math import isfinite
from reprlib import repr as shown  # of a value that may be long
from typing import Any

from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess

REQUIRED = ("architecture", "labels", "preprocess", "temperature")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; true and false, which are numbers to Python, are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number, and finite; true and false are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # JSON can have whole numbers that are too large for a float
        return False


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


Kind = tuple[Callable[[Any], bool], str]  # checks whether a value is of the kind; the name of the kind
KINDS: dict[type, Kind] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (is_whole, "a whole number"),
    float: (is_number, "a number"),
    str: (_is_text, "text"),
    dict: (_is_object, "an object"),
}
# The fields that the program reads; all others are only for people.
FIELDS: dict[str, Kind] = {
    "architecture": KINDS[str],
    "labels": (_are_names, "a list of different names"),
    "preprocess": KINDS[dict],
    "temperature": (lambda value: is_number(value) and 1e-3 <= value <= 1e3, "0.001 to 1000"),
    "mean": KINDS[float],
    "std": KINDS[float],
    "parameters": KINDS[int],
    "metrics": KINDS[dict],
    "config": KINDS[dict],
    "versions": (lambda value: _is_object(value) and all(map(_is_text, value.values())), "an object of names and text"),
    "seconds": KINDS[float],
    "created": KINDS[str],
    "command": KINDS[str],
    "bin": KINDS[str],
}


def check_header(header: Mapping[str, Any]) -> None:
    """Raise UsageError with the name of the field if a header is not as `checkpoint.save` writes it."""
    if missing := [name for name in REQUIRED if name not in header]:
        raise UsageError(f"the header lacks {', '.join(missing)}")
    _check_fields(header, FIELDS, "the header's ")
    policy, where = header["preprocess"], "the header's preprocess: "
    _check_fields(policy, {field.name: KINDS[type(field.default)] for field in fields(Preprocess)}, where)
    try:
        Preprocess.from_dict(policy)
    except UsageError as error:
        raise UsageError(f"{where}{error}") from None


def _check_fields(values: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> None:
    for name, (fits, wanted) in kinds.items():
        if name in values and not fits(values[name]):
            raise UsageError(f"{where}{name} must be {wanted}, got {shown(values[name])}")
