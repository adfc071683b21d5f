from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NewType

import pytest

from vidclf.errors import UsageError
from vidclf.options import check_options, convert, shortened


class Blur:
    def __init__(self, radius: int = 15, mode: Literal["box", "gauss"] = "box"): ...


class Entry:
    """Something with a path, as `os.DirEntry` is."""

    def __init__(self, path: str | bytes):
        self._path = path

    def __fspath__(self) -> str | bytes:
        return self._path


def test_a_value_is_shown_in_short() -> None:
    assert shortened({"a": [1, [2]], "b": "x" * 90}) == "{'a': [1, [...]], 'b': '" + "x" * 90 + "'}"
    assert len(shortened("x" * 1000)) == 100
    assert shortened(list(range(1000))) == "[0, 1, 2, 3, 4, 5, ...]"
    assert shortened(16**5000) == "a long int"


def test_a_misspelt_option_names_the_item_and_what_it_takes() -> None:
    with pytest.raises(UsageError) as caught:
        check_options(Blur, {"radus": 3}, "mine.yaml, item 2: blur")
    assert str(caught.value) == (
        "mine.yaml, item 2: blur has no option 'radus'; did you mean radius? (it takes radius=15, mode=box)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": "wide"}, "here: radius must be a whole number, got 'wide'"),
        ({"radius": 1.5}, "here: radius must be a whole number, got 1.5"),
        ({"radius": True}, "here: radius must be a whole number, got True"),
        ({"mode": "median"}, "here: mode must be one of box, gauss, got 'median'"),
    ],
)
def test_a_value_of_the_wrong_type_says_what_is_wanted(options: dict, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_options(Blur, options, "here")
    assert str(caught.value) == message


def test_a_missing_option_is_named() -> None:
    def needs(path: str) -> None: ...

    with pytest.raises(UsageError, match="here needs path"):
        check_options(needs, {}, "here")


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        ("640x360", tuple[int, int], (640, 360)),
        ("640 X 0360", tuple[int, int], (640, 360)),
        ([640, 360], tuple[int, int] | None, (640, 360)),
        (None, tuple[int, int] | None, None),
        (1, float, 1.0),
        ("1e-3", float, 0.001),  # text to YAML
        ("010", int, 10),
        ("-08", int, -8),
        ("010", float, 10.0),
        ("010", str, "010"),
        (["010", 3], list[int], [10, 3]),
        ("010", int | str, 10),
        ("10M", int | str, "10M"),
        (7, str, "7"),
        ("person, car", list[str], ["person", "car"]),
        ("person", list[str] | None, ["person"]),
        ("in.mp4", Path, Path("in.mp4")),
        # What a program gives.
        (Path("in.mp4"), Path, Path("in.mp4")),
        (Path("in.mp4"), str, "in.mp4"),
        (Path("in.mp4"), str | None, "in.mp4"),
        (Path("10m"), float | str, "10m"),
        ([Path("a"), "b"], list[str], ["a", "b"]),
        (Entry("in.mp4"), str, "in.mp4"),
        (Entry("in.mp4"), Path, Path("in.mp4")),
        # What a stage of somebody's own may want.
        ("person, car", tuple[str, ...], ("person", "car")),
        ([1, 2], tuple[float, ...] | None, (1.0, 2.0)),
        ("person", Sequence[str], ["person"]),
        (["person"], set[str], {"person"}),
        ({"person": 1}, dict[str, int], {"person": 1}),
        (3, NewType("Pixels", int), 3),
    ],
)
def test_values_are_converted(value: object, kind: object, result: object) -> None:
    assert convert(value, kind) == result


@pytest.mark.parametrize("value", ["1.0", "1_000", "0x10", "1:30", "", "ten", "٣", "1" * 5000, 1.0, None, True])
def test_what_is_not_a_whole_number_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"^a whole number$"):
        convert(value, int)


@pytest.mark.parametrize("value", [float("nan"), "nan", "2s", True, 10**400])
def test_what_is_not_a_number_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"^a number$"):
        convert(value, float)


def test_a_time_is_a_number_or_text() -> None:
    assert convert(90, float | str) == 90.0
    assert convert("10m", float | str) == "10m"


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (3, tuple[str, ...], "a list"),
        (3, Sequence[str], "a list"),
        (["x"], tuple[int, ...], "a whole number"),
        (None, str, "text"),
        (True, str | None, "text"),
        ("yes", bool, "true or false"),
        (3, Path, "a path"),
        (Entry(b"in.mp4"), str, "text"),
        (Entry(b"in.mp4"), Path, "a path"),
        (Path("in.mp4"), int, "a whole number"),
        ("x", dict[str, int], "a dict"),
        ([1], Mapping[str, int] | None, "a Mapping"),
    ],
)
def test_what_does_not_fit_is_told_in_words(value: object, kind: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{wanted}$"):
        convert(value, kind)


@pytest.mark.parametrize("annotation", ["Nowhere", "3 4", "1 / 0", "[int]", "{}"])
def test_an_annotation_that_makes_no_sense_is_none(annotation: str) -> None:
    def stage(size: object = 3) -> None: ...

    stage.__annotations__["size"] = annotation
    assert check_options(stage, {"size": 4}, "here") == {"size": 4}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before 3.14 the module itself fails")
def test_an_annotation_for_type_checkers_alone_does_no_harm() -> None:
    names: dict = {}
    exec("class Own:\n    def __init__(self, size: Nowhere = 3): ...", names)
    assert check_options(names["Own"], {"size": 4}, "here") == {"size": 4}


@pytest.mark.parametrize("value", ["640", "640xhigh", "640x", "1x2x3", [1, 2, 3], 640, "-1x-1", "1" * 5000 + "x1"])
def test_a_size_must_be_two_whole_numbers(value: object) -> None:
    with pytest.raises(ValueError, match=r"^WIDTHxHEIGHT$"):
        convert(value, tuple[int, int])
