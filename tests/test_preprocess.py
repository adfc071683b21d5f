from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess, crop_picture, letterbox, shrink


def picture(width: int, height: int, value: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_a_28x28_grey_picture_stays_as_it_is() -> None:
    grey = np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)
    assert np.array_equal(crop_picture(grey, Preprocess()), grey)


def test_letterbox_keeps_the_aspect_ratio_and_centres_on_black() -> None:
    crop = crop_picture(picture(100, 50), Preprocess())
    assert crop.shape == (28, 28)
    rows = np.flatnonzero(crop.any(axis=1))
    assert (rows.min(), rows.max()) == (7, 20)
    assert crop[7:21].min() == 200


def test_squash_fills_the_square() -> None:
    assert crop_picture(picture(100, 50), Preprocess(aspect="squash")).min() == 200


def test_outside_the_mask_is_black() -> None:
    mask = np.zeros((56, 56), bool)
    mask[:, :28] = True
    crop = crop_picture(picture(56, 56), Preprocess(), mask=mask)
    assert crop[:, :14].min() == 200
    assert crop[:, 14:].max() == 0
    assert crop_picture(picture(56, 56), Preprocess(mask=False), mask=mask).min() == 200


def test_the_box_is_cut_out() -> None:
    image = picture(100, 100, 10)
    image[20:48, 30:58] = 250
    assert crop_picture(image, Preprocess(), (30, 20, 58, 48)).min() == 250


def test_padding_widens_the_box_and_its_mask_but_not_beyond_the_picture() -> None:
    image = picture(100, 100, 10)
    image[20:48, 30:58] = 250
    crop = crop_picture(image, Preprocess(padding=0.5), (30, 20, 58, 48))
    assert crop[0, 0] == 10
    assert crop[14, 14] == 250
    masked = crop_picture(image, Preprocess(padding=0.5), (30, 20, 58, 48), np.ones((28, 28), bool))
    assert masked[0, 0] == 0
    assert crop_picture(image, Preprocess(padding=1.0), (0, 0, 100, 100)).shape == (28, 28)


@pytest.mark.parametrize(("polarity", "value"), [("light", 40), ("dark", 215), ("auto", 215)])
def test_a_dark_object_on_a_light_ground(polarity: str, value: int) -> None:
    image = picture(56, 56, 230)
    image[14:42, 14:42] = 40
    policy = Preprocess(polarity=polarity)  # type: ignore[arg-type]
    assert crop_picture(image, policy)[14, 14] == value


def test_auto_leaves_a_light_object_alone_and_turns_a_dark_masked_one() -> None:
    auto = Preprocess(polarity="auto")
    light = picture(56, 56, 20)
    light[14:42, 14:42] = 240
    assert crop_picture(light, auto)[14, 14] == 240
    mask = np.ones((56, 56), bool)
    assert crop_picture(picture(56, 56, 30), auto, mask=mask)[14, 14] == 225
    assert crop_picture(picture(56, 56, 200), auto, mask=mask)[14, 14] == 200


def test_the_inverted_background_outside_the_mask_stays_black() -> None:
    mask = np.zeros((56, 56), bool)
    mask[14:42, 14:42] = True
    crop = crop_picture(picture(56, 56, 30), Preprocess(polarity="dark"), mask=mask)
    assert (crop[0, 0], crop[14, 14]) == (0, 225)


def test_three_channels_stay_colour() -> None:
    image = np.zeros((40, 20, 3), np.uint8)
    image[...] = (10, 20, 250)
    crop = crop_picture(image, Preprocess(size=64, channels=3))
    assert crop.shape == (64, 64, 3)
    assert crop[32, 32].tolist() == [10, 20, 250]
    assert crop_picture(image[..., 0], Preprocess(channels=3)).shape == (28, 28, 3)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((280, 280), np.uint8)
    stripes[:, ::2] = 200
    assert abs(int(crop_picture(stripes, Preprocess()).mean()) - 100) <= 1


@pytest.mark.parametrize(
    ("shape", "longest", "wanted"),
    [
        ((720, 1280, 3), 320, (180, 320, 3)),
        ((721, 300), 100, (100, 42)),
        ((3, 1000, 3), 100, (1, 100, 3)),
        ((40, 60, 3), 60, (40, 60, 3)),
        ((4, 6), 60, (4, 6)),
    ],
)
def test_a_picture_is_shrunk_to_its_longest_side(shape: tuple[int, ...], longest: int, wanted: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    small = shrink(image, longest)
    assert small.shape == wanted and not np.shares_memory(small, image)
    whole = cv2.resize(image, wanted[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - whole).max() <= 1  # halving it first rounds more often


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_any_size_works(size: tuple[int, int]) -> None:
    assert crop_picture(picture(*size), Preprocess()).shape == (28, 28)


def test_the_picture_is_not_changed_and_the_crop_is_not_a_view() -> None:
    image = picture(28, 28)
    crop_picture(image, Preprocess(), mask=np.zeros((28, 28), bool))
    crop_picture(image, Preprocess())[...] = 0
    assert image.min() == 200


def test_letterbox_makes_any_size() -> None:
    assert letterbox(picture(30, 10), 64, 36).shape == (36, 64, 3)


@pytest.mark.parametrize(
    "option",
    [{"size": 7}, {"size": 2000}, {"channels": 2}, {"aspect": "crop"}, {"polarity": "none"}, {"padding": -0.1}],
)
def test_what_is_not_allowed_is_refused(option: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(option))} must be .*got "):
        Preprocess(**option)


def test_a_policy_survives_a_header() -> None:
    policy = Preprocess(size=64, channels=3, aspect="squash", padding=0.1)
    assert Preprocess.from_dict(policy.to_dict()) == policy
    with pytest.raises(UsageError, match="unknown preprocessing fields: blur"):
        Preprocess.from_dict({"blur": 3})
