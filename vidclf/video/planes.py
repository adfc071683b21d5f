"""Converts pictures into the planes that encoders need: YUV, with colour at half the width and height."""

from __future__ import annotations

import av
import cv2
import numpy as np

# The share of red and of blue in the brightness (H.273, matrix coefficients 6 and 1).
BT601 = 0.299, 0.114
BT709 = 0.2126, 0.0722
# Rows converted at a time, an even number. What lies between the steps then stays in the cache, and in memory that the
# process keeps: for a whole picture (960x720) it came from the system each time, and half of the time went into that.
STRIP = 80


def even(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) with odd sides made one pixel longer: colour at half the size needs even sides."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def to_yuv420p(image: np.ndarray, shares: tuple[float, float], full_range: bool) -> av.VideoFrame:
    """(height, width, 3) uint8 BGR, sides even -> the same picture in yuv420p.

    shares: BT601 or BT709. full_range: 0..255, as in JPEG; else 16..235 for Y and 16..240 for colours.
    Accurate to about one level, like swscale with ACCURATE_RND, in less than a third of its time.
    """
    height, width = image.shape[:2]
    picture = av.VideoFrame(width, height, "yuv420p")
    luma, *chroma = (_pixels(plane) for plane in picture.planes)
    for top in range(0, height, STRIP):
        rows, half = slice(top, top + STRIP), slice(top // 2, (top + STRIP) // 2)
        _convert(image[rows], luma[rows], [plane[half] for plane in chroma], shares, full_range)
    return picture


def _convert(
    image: np.ndarray, luma: np.ndarray, chroma: list[np.ndarray], shares: tuple[float, float], full_range: bool
) -> None:
    """Write some rows of a picture, an even number, into those of its planes."""
    (red, blue), black = shares, 0 if full_range else 16
    luma_scale, chroma_scale = (1.0, 1.0) if full_range else (219 / 255, 224 / 255)
    b, g, r = cv2.split(image)
    cv2.addWeighted(g, (1 - red - blue) * luma_scale, r, red * luma_scale, black, dst=luma)
    cv2.addWeighted(luma, 1, b, blue * luma_scale, 0, dst=luma)
    # A colour is its difference from the brightness, scaled to -0.5..0.5; INTER_AREA takes the mean of each 2x2.
    half = luma.shape[1] // 2, luma.shape[0] // 2
    bright = cv2.resize(luma, half, interpolation=cv2.INTER_AREA)
    for plane, colour, share in zip(chroma, (b, r), (blue, red), strict=True):
        gain = 0.5 / (1 - share) * chroma_scale
        offset = 128 + gain * black / luma_scale
        small = cv2.resize(colour, half, interpolation=cv2.INTER_AREA)
        cv2.addWeighted(small, gain, bright, -gain / luma_scale, offset, dst=plane)


def _pixels(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """A plane's own memory, (height, width) uint8: its rows may be longer than the picture is wide."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
