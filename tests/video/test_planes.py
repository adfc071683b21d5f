from __future__ import annotations

import numpy as np
import pytest

from vidclf.video.planes import BT601, BT709, to_yuv420p


def exact(image: np.ndarray, shares: tuple[float, float], full_range: bool) -> tuple[np.ndarray, np.ndarray]:
    """Y, and U and V, by the book (ITU-R BT.601 and BT.709, ITU-T T.871), in floats."""
    red, blue = shares
    b, g, r = np.moveaxis(image / 255.0, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    colours = np.stack([(b - y) / (1 - blue) / 2, (r - y) / (1 - red) / 2])
    rows, columns = y.shape
    colours = colours.reshape(2, rows // 2, 2, columns // 2, 2).mean(axis=(2, 4))
    return (255 * y, 128 + 255 * colours) if full_range else (16 + 219 * y, 128 + 224 * colours)


def planes_of(image: np.ndarray, shares: tuple[float, float], full_range: bool) -> np.ndarray:
    """Y, and below it U and V, without what the rows are filled up with."""
    picture = to_yuv420p(image, shares, full_range)
    assert (picture.format.name, picture.height, picture.width) == ("yuv420p", *image.shape[:2])
    pixels = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in picture.planes]
    return np.concatenate([plane.ravel() for plane in pixels]).reshape(-1, image.shape[1])


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("shares", [BT601, BT709])
@pytest.mark.parametrize("size", [(2, 2), (6, 34), (74, 96), (162, 34)])
def test_planes_are_right_to_a_level(size: tuple[int, int], shares: tuple[float, float], full_range: bool) -> None:
    random = np.random.default_rng(7)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    rows, columns = size
    planes = planes_of(image, shares, full_range)
    luma, chroma = planes[:rows], planes[rows:].reshape(2, rows // 2, columns // 2)
    y, colours = exact(image, shares, full_range)
    assert np.abs(luma - y).max() <= 1.01
    assert np.abs(chroma - np.clip(colours, 0, 255)).max() <= 1.6
    if size == (74, 96):  # no level too dark or too bright on the whole
        assert abs(float((luma - y).mean())) < 0.05
        assert np.abs((chroma - colours).mean(axis=(1, 2))).max() < 0.1


@pytest.mark.parametrize("grey", [0, 1, 128, 254, 255])
def test_grey_has_no_colour(grey: int) -> None:
    planes = planes_of(np.full((4, 4, 3), grey, np.uint8), BT709, False)
    assert np.abs(planes[4:].astype(int) - 128).max() <= 1
    assert np.abs(planes[:4] - (16 + 219 / 255 * grey)).max() <= 1


def test_the_extremes_do_not_wrap_around() -> None:
    pure = np.zeros((2, 6, 3), np.uint8)
    pure[:, 0:2, 0], pure[:, 2:4, 1], pure[:, 4:6, 2] = 255, 255, 255  # blue, green, red
    planes = planes_of(pure, BT709, True)
    u, v = planes[2:].reshape(2, 1, 3)
    assert u[0].tolist() == pytest.approx([255, 29, 99], abs=2)
    assert v[0].tolist() == pytest.approx([116, 12, 255], abs=2)
