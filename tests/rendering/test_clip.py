from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vidclf.rendering.clip import VISIBLE, Clip
from vidclf.rendering.levels import LEVELS
from vidclf.rendering.wardrobe import Wardrobe

SIZE = (320, 180)
SECONDS = 6.5  # what two objects of `easy` need, one after the other


def card(index: int, _: int) -> np.ndarray:
    """A light card with a coverage of its own."""
    return np.full((80, 60 + 20 * index, 4), 255, np.uint8)


CARDS = Wardrobe("ab", (1, 1), card)


def make(level: str, number: int = 0, seconds: float = SECONDS, seed: int = 1, **changes: object) -> Clip:
    return Clip(CARDS, replace(LEVELS[level], **changes), SIZE, seconds, seed, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", LEVELS)
def test_the_same_arguments_draw_the_same_pixels(level: str) -> None:
    one, rows = make(level).draw(60)
    other, rows_again = make(level).draw(60)
    assert np.array_equal(one, other) and rows == rows_again and rows
    assert one.shape == (180, 320, 3) and one.dtype == np.uint8
    assert not np.array_equal(one, make(level, number=1).draw(60)[0])
    assert not np.array_equal(one, make(level, seed=2).draw(60)[0])


@pytest.mark.parametrize("level", LEVELS)
def test_truth_rows_are_well_formed(level: str) -> None:
    clip = make(level)
    rows = [row for number in range(0, clip.frames, 2) for row in clip.draw(number)[1]]
    assert rows == sorted(rows, key=lambda row: (row["frame"], row["object"]))
    for row in rows:
        assert list(row) == ["frame", "time", "object", "x0", "y0", "x1", "y1", "label"]
        assert all(type(row[name]) is int for name in ("frame", "object", "x0", "y0", "x1", "y1"))
        assert 0 <= row["x0"] < row["x1"] <= 320 and 0 <= row["y0"] < row["y1"] <= 180
        assert row["time"] == row["frame"] / 25 and 1 < row["time"] < SECONDS
    assert max(Counter((row["frame"], row["object"]) for row in rows).values()) == 1
    at_once = max(Counter(row["frame"] for row in rows).values())
    assert at_once == 1 if level == "easy" else at_once >= 3
    assert {row["label"] for row in rows} == {"a", "b"}


def test_the_boxes_are_where_the_objects_are() -> None:
    clip = make("easy", sway=0)
    empty = clip.draw(0)[0].astype(int)
    seen = 0
    for number in range(25, 150, 3):
        picture, rows = clip.draw(number)
        there = np.abs(picture - empty).max(axis=2) > 100
        for row in rows:
            seen += 1
            inside = there[row["y0"] : row["y1"], row["x0"] : row["x1"]]
            assert inside.mean() > 0.9
            assert there.sum() - inside.sum() < 0.05 * inside.size  # and nothing outside
    assert seen > 20


def test_the_level_switches_things_on() -> None:
    still = make("easy")
    assert np.array_equal(still.draw(0)[0], still.draw(20)[0])
    street = make("street")
    first, second = street.draw(0)[0].astype(int), street.draw(20)[0].astype(int)
    assert 2 < np.std(first - second) < 6 and abs((first - second).mean()) < 0.2  # noise, but the same light
    assert street.draw(0)[0].std() > 6  # a textured ground
    corner = [float(make("hard", noise=0, shake=0).draw(number)[0][:20].mean()) for number in (0, 105, 115)]
    assert 1 - corner[2] / corner[1] > 0.1  # the lamp goes out
    assert corner[1] != corner[0]  # and before, the light swings
    one, other = (make("hard", noise=0, light=0, shake=shake).draw(12)[0].astype(int) for shake in (0, 0.01))
    assert np.abs(one - other).mean() > 1  # another part of the scene
    dark = make("hard", dark=1, pillars=0, light=0, noise=0)
    picture, rows = dark.draw(70)
    for row in rows:
        y, x = (row["y0"] + row["y1"]) // 2, (row["x0"] + row["x1"]) // 2
        assert picture[y, x].max() < 90


def test_what_is_hidden_has_no_row() -> None:
    alone = make("hard", pillars=0, shake=0, noise=0, spacing=2.6, lanes=(0.5,))
    behind = make("hard", pillars=0, shake=0, noise=0, spacing=2.6, lanes=(0.5,))
    behind._pillars[:, 150:] = 1  # a wall over the right half
    for number in range(25, 150, 3):
        (free, hidden) = alone.draw(number)[1], behind.draw(number)[1]
        for row in hidden:
            (whole,) = [one for one in free if one["object"] == row["object"]]
            assert row["x1"] <= 150 and (row["x0"], row["y0"]) == (whole["x0"], whole["y0"])
            assert row["x1"] - row["x0"] >= VISIBLE * 0.8 * (whole["x1"] - whole["x0"])
        assert all(row["x0"] >= 90 for row in free if row["object"] not in {one["object"] for one in hidden})


def test_a_pillar_may_be_wider_than_a_narrow_picture() -> None:
    """Its left side was counted from the right: the command ended in an error."""
    for number in range(5):
        clip = Clip(CARDS, LEVELS["hard"], (64, 640), 2, 1, number)
        assert clip.draw(0)[0].shape == (640, 64, 3)
        assert clip._pillars[..., 3].max() == 1
