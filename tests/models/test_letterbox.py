"""The letterbox is ultralytics', pixel for pixel, and so is the way back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.conftest import pictures
from vidclf.models.letterbox import Letterbox

SIZES = [(640, 480), (1920, 1080), (333, 77), (77, 333), (96, 96), (100, 100), (1, 1), (1, 700), (2000, 3), (101, 99)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("side", "stretches"), [(96, False), (640, False), (160, True)])
def test_pictures_are_fitted_as_by_ultralytics(size: tuple[int, int], side: int, stretches: bool) -> None:
    from ultralytics.data.augment import LetterBox

    image = pictures(1, *size)[0]
    wanted = LetterBox((side, side), auto=not stretches, scale_fill=stretches, stride=32)(image=image)
    found = Letterbox(side, 32, stretches).fit(image)
    assert np.array_equal(found, wanted)
    assert all(length % 32 == 0 for length in found.shape[:2])


def test_a_picture_that_fits_is_not_copied() -> None:
    image = pictures(1, 96, 64)[0]
    assert Letterbox(96, 32).fit(image) is image


@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_as_by_ultralytics(size: tuple[int, int]) -> None:
    from ultralytics.utils.ops import scale_boxes

    width, height = size
    letterbox = Letterbox(640, 32)
    shape = letterbox.fit(np.zeros((height, width, 3), np.uint8)).shape[:2]
    boxes = np.random.default_rng(0).uniform(-20, 660, (200, 4)).astype(np.float32)
    wanted = scale_boxes(shape, boxes.copy(), (height, width))
    assert np.allclose(letterbox.boxes_in_picture(boxes, width, height), wanted, atol=1e-3)


def test_stretched_pictures_have_boxes_in_shares() -> None:
    box = np.array([[0.25, 0.5, 0.75, 1.5]], np.float32)
    assert Letterbox(160, 32, stretches=True).boxes_in_picture(box, 200, 100).tolist() == [[50, 50, 150, 100]]
