from __future__ import annotations

import struct
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from tests.clips import picture, turn_metadata, write_clip
from vidclf.video.upright import Upright, orientation


def photo(path: Path, tag: int) -> Path:
    """A JPEG whose EXIF says how it is to be shown, 1..8."""
    jpeg = cv2.imencode(".jpg", picture(9))[1].tobytes()
    # Big-endian, and one entry: the tag of the orientation, one 16-bit number.
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, tag, 0, 0)
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    return path


def first(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize("tag", range(1, 9))
def test_photos_are_shown_as_opencv_shows_them(tmp_path: Path, tag: int) -> None:
    path = photo(tmp_path / "photo.jpg", tag)
    image, expected = Upright()(first(path)), cv2.imread(str(path))
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("size", [(40, 30), (36, 54), (144, 216), (200, 150)])
@pytest.mark.parametrize("tag", range(1, 9))
def test_a_picture_is_scaled_to_the_size_that_it_shall_have_upright(
    tmp_path: Path, tag: int, size: tuple[int, int]
) -> None:
    """It is scaled before it is turned, in its own colours."""
    path = photo(tmp_path / "photo.jpg", tag)
    image = Upright()(first(path), size)
    expected = cv2.resize(cv2.imread(str(path)), size, interpolation=cv2.INTER_AREA)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 5


def test_a_picture_is_made_smaller_without_skipping_pixels() -> None:
    """Lines one pixel wide become grey, not black or white."""
    lines = np.zeros((64, 96), np.uint8)
    lines[:, ::2] = 255
    image = Upright()(av.VideoFrame.from_ndarray(lines, format="gray"), (24, 16))
    assert image.min() > 120 and image.max() < 136


def test_a_picture_made_smaller_keeps_its_colours() -> None:
    """Two neighbours shared one colour: stripes of red and blue were purple."""
    stripes = np.zeros((64, 96, 3), np.uint8)
    stripes[:, :, 2] = 255  # red
    stripes[:, 4::8] = stripes[:, 5::8] = stripes[:, 6::8] = stripes[:, 7::8] = 255, 0, 0
    frame = av.VideoFrame.from_ndarray(stripes, format="bgr24").reformat(format="yuv420p")
    image = Upright()(frame, (24, 16)).astype(int)
    assert np.abs(image[:, ::2] - (0, 0, 255)).max() < 8
    assert np.abs(image[:, 1::2] - (255, 0, 0)).max() < 8


def test_a_picture_of_two_fields_is_made_smaller_as_one(tmp_path: Path) -> None:
    """Each field was scaled by itself: what differs between them stayed as a comb."""
    path = tmp_path / "interlaced.mpg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "q": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        stream.bit_rate = 8_000_000
        lines = np.zeros((72, 96, 3), np.uint8)
        lines[::2] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(lines, format="bgr24")))
        container.mux(stream.encode(None))
    frame = first(path)
    assert frame.interlaced_frame
    image = Upright()(frame, (48, 36))
    assert image.shape == (36, 48, 3)
    assert image[4:-4].min() > 100 and image[4:-4].max() < 155


def test_a_picture_goes_when_nobody_needs_it(tmp_path: Path) -> None:
    """`picture.side_data` makes a cycle of references: hundreds of pictures piled up until they were collected."""
    path = write_clip(tmp_path / "clip.mp4", 1)
    turn_metadata(path, 90, mirrored=True)
    shot = first(path)
    before = sys.getrefcount(shot)
    assert orientation(shot) == (True, 1)
    assert sys.getrefcount(shot) == before


def test_a_picture_is_converted_by_the_calling_thread_alone() -> None:
    """With a thread a core, each picture waits for the busiest core: a live source falls behind."""
    upright, process = Upright(), psutil.Process()
    before = process.num_threads()
    assert upright(av.VideoFrame(1920, 1080, "yuv420p")).shape == (1080, 1920, 3)
    assert process.num_threads() <= before


@pytest.mark.parametrize("space", range(18))
def test_whatever_a_picture_says_of_its_colours_it_is_shown(space: int) -> None:
    frame = av.VideoFrame(96, 72, "yuv420p")
    frame.colorspace = space
    assert Upright()(frame).shape == (72, 96, 3)
