"""The shipped sample clip and its truth are what the contract says, and what `samples/draw.py` draws."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
CLIP, TRUTH = SAMPLES / "wardrobe.mp4", SAMPLES / "wardrobe.truth.jsonl"
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


@pytest.fixture(scope="module")
def draw() -> Iterator[ModuleType]:
    """`samples/draw.py`, imported as the plain script it is."""
    sys.path.insert(0, str(SAMPLES))
    yield importlib.import_module("draw")
    sys.path.remove(str(SAMPLES))
    for name in ("draw", "garments", "sheet"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in TRUTH.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Every fifth frame of the clip."""
    with av.open(str(CLIP)) as container:
        return [f.to_ndarray(format="bgr24") for n, f in enumerate(container.decode(video=0)) if n % 5 == 0]


def test_clip_is_small_and_has_picture_and_sound() -> None:
    assert CLIP.stat().st_size < 2_000_000
    with av.open(str(CLIP)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.width, video.height, video.average_rate) == ("h264", 640, 360, 25)
        assert audio.codec.name == "aac"
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n / 25 for n in range(len(times))])
    assert 10 <= len(times) / 25 <= 20
    with av.open(str(CLIP)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert sound.shape[1] / 48000 == pytest.approx(len(times) / 25, abs=0.1)
    assert 0.05 < np.abs(sound).max() < 0.6  # heard, and quiet


def test_truth_rows_are_well_formed(rows: list[dict[str, Any]], draw: ModuleType) -> None:
    assert rows == sorted(rows, key=lambda row: (row["frame"], row["object"]))
    for row in rows:
        assert list(row) == ["frame", "time", "object", "x0", "y0", "x1", "y1", "label"]
        assert all(type(row[name]) is int for name in ("frame", "object", "x0", "y0", "x1", "y1"))
        assert 0 <= row["x0"] < row["x1"] <= 640 and 0 <= row["y0"] < row["y1"] <= 360
        assert 0 <= row["frame"] < draw.FRAMES
        assert row["time"] == pytest.approx(row["frame"] / 25)
    assert max(Counter((row["frame"], row["object"]) for row in rows).values()) == 1


def test_each_class_crosses_once_for_seconds_and_several_at_a_time(rows: list[dict[str, Any]]) -> None:
    names = {(row["object"], row["label"]) for row in rows}
    assert sorted(label for _, label in names) == sorted(LABELS)
    assert len({number for number, _ in names}) == 10
    assert min(Counter(row["object"] for row in rows).values()) >= 3 * 25
    at_once = Counter(Counter(row["frame"] for row in rows).values())
    assert max(at_once) >= 3 and max(at_once) <= 6


def test_objects_do_not_touch(rows: list[dict[str, Any]]) -> None:
    """Background subtraction would see two that touch as one."""
    for one, other in ((a, b) for a in rows for b in rows if a["frame"] == b["frame"] and a["object"] < b["object"]):
        beside = one["x1"] + 4 <= other["x0"] or other["x1"] + 4 <= one["x0"]
        assert beside or one["y1"] + 4 <= other["y0"] or other["y1"] + 4 <= one["y0"], (one, other)


def test_first_second_is_the_empty_room(
    rows: list[dict[str, Any]], pictures: list[np.ndarray], draw: ModuleType
) -> None:
    assert min(row["frame"] for row in rows) > 25
    for number in (0, 5, 10, 15, 20, 25):
        empty = draw.room() * draw.light(number / 25)
        assert np.abs(pictures[number // 5] - empty).mean() < 4
        assert (
            np.abs(pictures[number // 5] - empty).max() < 40
        )  # the codec's noise; a garment is lighter by 50 and more


@pytest.mark.parametrize("number", [100, 230, 345])
def test_clip_and_truth_are_what_the_program_draws(
    number: int, rows: list[dict[str, Any]], pictures: list[np.ndarray], draw: ModuleType
) -> None:
    picture, drawn = draw.draw_frame(number)
    assert np.abs(pictures[number // 5].astype(int) - picture).mean() < 4
    told = [row for row in rows if row["frame"] == number]
    assert [(row["object"], row["label"]) for row in drawn] == [(row["object"], row["label"]) for row in told]
    for one, other in zip(drawn, told, strict=True):  # a pixel's grace: OpenCV's rounding differs between versions
        assert [one[k] for k in ("x0", "y0", "x1", "y1")] == pytest.approx(
            [other[k] for k in ("x0", "y0", "x1", "y1")], abs=1
        )


def test_drawing_is_deterministic(draw: ModuleType) -> None:
    first, rows = draw.draw_frame(200)
    draw.room.cache_clear()
    draw.sprite.cache_clear()
    again, rows_again = draw.draw_frame(200)
    np.testing.assert_array_equal(first, again)
    assert rows == rows_again and len(rows) >= 2
