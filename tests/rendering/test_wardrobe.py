from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.idx import bars, write_bars
from tests.pictures import write_picture
from vidclf.rendering.wardrobe import Wardrobe, cut_out, drawn, from_pictures


def test_every_class_comes_once_a_turn_and_every_picture_before_any_comes_again() -> None:
    wardrobe = Wardrobe("abc", (2, 2, 2), lambda index, number: np.full((1, 1, 4), 10 * index + number, np.uint8))
    dealt = [wardrobe.deal(number, seed=5) for number in range(6)]
    assert sorted(label for label, _ in dealt[:3]) == sorted(label for label, _ in dealt[3:]) == list("abc")
    assert Counter(int(sprite[0, 0, 0]) for _, sprite in dealt) == Counter((0, 1, 10, 11, 20, 21))
    assert [wardrobe.deal(number, seed=5)[0] for number in (4, 1)] == [dealt[4][0], dealt[1][0]]
    orders = {tuple(wardrobe.deal(number, seed)[0] for number in range(3)) for seed in range(20)}
    assert len(orders) > 2


def test_black_around_the_object_is_cut_away_but_not_black_inside_it() -> None:
    image = np.zeros((200, 220), np.uint8)
    image[20:180, 40:140] = 150
    image[80:100, 60:80] = 0  # a button
    sprite = cut_out(image)
    assert sprite.shape == (162, 102, 4)  # trimmed, with a pixel around
    assert (sprite[1:-1, 1:-1, 3] == 255).all() and sprite[0].max() == 0
    assert sprite[70, 30].tolist() == [0, 0, 0, 255] and sprite[100, 50].tolist() == [150, 150, 150, 255]


def test_a_photo_stays_whole_and_a_mask_cuts() -> None:
    photo = np.full((170, 180, 3), (30, 90, 200), np.uint8)
    assert (cut_out(photo)[1:-1, 1:-1, 3] == 255).all() and cut_out(photo).shape == (172, 182, 4)
    mask = np.zeros((170, 180), bool)
    mask[0:165, 50:90] = True
    assert cut_out(photo, mask).shape == (167, 42, 4)
    assert cut_out(np.zeros((50, 60), np.uint8))[..., 3].any()  # a black picture is a black rectangle


def test_small_pictures_are_enlarged_smoothly() -> None:
    sprite = cut_out(bars(1)[0][0])
    assert max(sprite.shape) >= 150
    assert len(np.unique(sprite[..., 3])) > 2
    assert (sprite[..., :3] <= sprite[..., 3:]).all()  # multiplied by the coverage


def test_only_test_pictures_are_shown(tmp_path: Path) -> None:
    for part, value in (("train", 100), ("test", 200)):
        for label in ("a", "b"):
            write_picture(tmp_path / part / label / "it.png", np.full((170, 170, 3), value, np.uint8))
    wardrobe = from_pictures(tmp_path)
    assert wardrobe.labels == ("a", "b")
    assert all(wardrobe.deal(number, 0)[1].max(axis=(0, 1))[0] == 200 for number in range(4))
    assert len(from_pictures(write_bars(tmp_path / "idx"), verify=False).labels) == 10


def test_without_data_the_garments_are_those_of_the_sample_clip() -> None:
    wardrobe = drawn()
    label, sprite = wardrobe.deal(3, 0)
    assert len(wardrobe.labels) == 10 and label in wardrobe.labels
    assert sprite.ndim == 3 and sprite.shape[2] == 4 and sprite[..., 3].max() == 255


@pytest.mark.parametrize("seed", [0, 1])
def test_dealing_needs_no_memory(seed: int) -> None:
    one, other = drawn(), drawn()
    other.deal(0, seed)
    assert np.array_equal(one.deal(7, seed)[1], other.deal(7, seed)[1])
