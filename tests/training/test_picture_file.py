import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.pictures import paint, write_picture
from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.training.picture_file import read_picture


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_transparent_where_it_should_be(tmp_path: Path, suffix: str, orientation: int) -> None:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[2:9, 3:12] = 255  # white and opaque; the rest is black and transparent
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", exif=exif, lossless=True)
    image, mask = read_picture(tmp_path / f"a.{suffix}")
    assert image.shape[:2] == ((20, 30) if orientation < 5 else (30, 20))
    assert mask is not None
    assert np.array_equal(mask, image[..., 0] == 255)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("damaged", [chunk(b"eXIf", b"garbage, no TIFF"), chunk(b"iCCP", b"x")], ids=["EXIF", "iCCP"])
def test_damaged_metadata_do_not_matter(tmp_path: Path, damaged: bytes) -> None:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[2:9, 3:12] = 255
    path = write_picture(tmp_path / "a.png", pixels)
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + damaged + whole[33:])  # after the signature and the header
    image, mask = read_picture(path)
    assert mask is not None and np.array_equal(mask, image[..., 0] == 255) and mask.sum() == 63


def test_a_picture_too_large_for_pillow_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[2:9, 3:12] = 255
    path = write_picture(tmp_path / "a.png", pixels)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # it raises above twice as many
    mask = read_picture(path)[1]
    assert mask is not None and mask.sum() == 63


def test_whatever_a_decoder_raises_names_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    path = write_picture(tmp_path / "a.jpg", paint("red", 1))
    monkeypatch.setattr(cv2, "imdecode", fails)
    with pytest.raises(UsageError, match=r"a\.jpg: not a picture, or damaged \([\d,]+ bytes\)$"):
        read_picture(path)


def test_a_transparent_background_is_outside_the_object(tmp_path: Path) -> None:
    image = np.full((40, 40, 4), 200, np.uint8)
    image[..., 3] = 0
    image[10:30, 10:30, 3] = 255
    picture, mask = read_picture(write_picture(tmp_path / "cut.png", image))
    assert mask is not None and mask.sum() == 400
    crop = crop_picture(picture, Preprocess(size=40), mask=mask)
    assert crop[20, 20] == 200 and crop[5, 5] == 0
    image[..., 3] = 255
    assert read_picture(write_picture(tmp_path / "whole.png", image))[1] is None


def test_pictures_of_other_depths_are_bytes(tmp_path: Path) -> None:
    deep = np.full((20, 20, 3), 40_000, np.uint16)
    image, _ = read_picture(write_picture(tmp_path / "deep.png", deep))
    assert image.dtype == np.uint8 and image.shape == (20, 20, 3) and abs(int(image[0, 0, 0]) - 156) <= 1
    image, _ = read_picture(write_picture(tmp_path / "grey.png", np.full((20, 20), 99, np.uint8)))
    assert image.shape == (20, 20, 3) and (image == 99).all()
