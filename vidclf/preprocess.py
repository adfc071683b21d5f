"""Makes the small picture a classifier sees, from a picture, a box and a mask; the only code that does so.

The crop stage and the training loader both call `crop_picture`, so training and serving cannot drift apart.
`letterbox` and `shrink` also serve others: frames of another size, thumbnails, the copy in which `motion` searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import cv2
import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Box
from vidclf.limits import check_choice, check_range

Aspect = Literal["letterbox", "squash"]
Polarity = Literal["light", "dark", "auto"]


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a crop is made; stored in a checkpoint's header.

    `size` and `channels` are the network's input format and must match the network. The rest says how to get
    from a scene to pictures like those the network was trained on (Fashion-MNIST: a light garment that fills a black
    square), and may be adapted to the scene.
    """

    size: int = 28  # pixels a side
    channels: int = 1  # 1 = grey, 3 = BGR
    aspect: Aspect = "letterbox"  # keep the aspect ratio, centred on black; or squash to the square
    mask: bool = True  # paint everything outside the detection's mask black
    padding: float = 0.0  # how far to widen the box on each side, as a share of its longer side
    # The object is lighter than its background ("light"), darker ("dark": inverted), or either ("auto").
    polarity: Polarity = "light"

    def __post_init__(self) -> None:
        check_range("size", self.size, 8, 1024, "pixels")
        if self.channels not in (1, 3):
            raise UsageError(f"channels must be 1 (grey) or 3 (colour), got {self.channels}")
        check_choice("aspect", self.aspect, get_args(Aspect))
        check_choice("polarity", self.polarity, get_args(Polarity))
        check_range("padding", self.padding, 0, 1, "of the box's longer side")

    @property
    def format(self) -> tuple[int, int]:
        """(size, channels): what must match the network."""
        return self.size, self.channels

    def to_dict(self) -> dict[str, Any]:
        """The policy as plain values, for a checkpoint's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Rebuild a policy; raises UsageError on fields this version does not know."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise UsageError(f"unknown preprocessing fields: {', '.join(sorted(unknown))}")
        return cls(**values)


def crop_picture(
    image: np.ndarray, policy: Preprocess, box: Box | None = None, mask: np.ndarray | None = None
) -> np.ndarray:
    """Cut `box` (default: everything) out of `image` and convert it to the classifier's input.

    image: (height, width, 3) uint8 BGR, or (height, width) uint8 grey; it is not changed.
    mask: (y1-y0, x1-x0) bool, foreground inside the box, or None.
    Returns (size, size) uint8 for one channel, (size, size, 3) for three.
    """
    height, width = image.shape[:2]
    box = box or (0, 0, width, height)
    if not policy.mask:
        mask = None
    if policy.padding:
        box, mask = _widen(box, mask, policy.padding, width, height)
    x0, y0, x1, y1 = box
    picture = _to_channels(image[y0:y1, x0:x1], policy.channels)
    if policy.polarity == "dark" or (policy.polarity == "auto" and _is_dark(picture, mask)):
        picture = 255 - picture
    if mask is not None:
        picture = picture * (mask if picture.ndim == 2 else mask[..., None])
    if policy.aspect == "squash":
        return _resize(picture, policy.size, policy.size)
    return letterbox(picture, policy.size, policy.size)


def stack_crops(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Crops as `crop_picture` makes them -> (N, channels, size, size) uint8, C-contiguous: a network's input."""
    stacked = np.stack(crops)
    return stacked[:, None] if stacked.ndim == 3 else np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))


def letterbox(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale a picture to fit width x height, its aspect ratio kept, centred on black."""
    rows, columns = picture.shape[:2]
    area = left, top, right, bottom = letterbox_area(columns, rows, width, height)
    return on_black(_resize(picture, right - left, bottom - top), area, width, height)


def on_black(picture: np.ndarray, area: Box, width: int, height: int) -> np.ndarray:
    """A black picture of width x height with another one in it; that one itself if it fills all of it."""
    left, top, right, bottom = area
    if (right - left, bottom - top) == (width, height):
        return picture
    canvas = np.zeros((height, width, *picture.shape[2:]), np.uint8)
    canvas[top:bottom, left:right] = picture
    return canvas


def letterbox_area(columns: int, rows: int, width: int, height: int) -> Box:
    """Where `letterbox` puts a picture of columns x rows."""
    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    return left, top, left + inner[0], top + inner[1]


def shrink(picture: np.ndarray, longest: int) -> np.ndarray:
    """A copy of a picture whose longer side has at most `longest` pixels."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture.copy()
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Halve it first: this takes the same mean of the same pixels, but OpenCV does it four times as fast.
    while width % 2 == height % 2 == 0 and width >= 2 * size[0]:
        width, height = width // 2, height // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return _resize(picture, *size)


def _resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture.copy()
    # Area interpolation averages all source pixels; shrinking a large box by skipping pixels would alias.
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _to_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1 and picture.ndim == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if channels == 3 and picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return picture


def _widen(box: Box, mask: np.ndarray | None, share: float, width: int, height: int) -> tuple[Box, np.ndarray | None]:
    x0, y0, x1, y1 = box
    margin = round(share * max(x1 - x0, y1 - y0))
    wide = (max(0, x0 - margin), max(0, y0 - margin), min(width, x1 + margin), min(height, y1 + margin))
    if mask is not None:
        sides = ((y0 - wide[1], wide[3] - y1), (x0 - wide[0], wide[2] - x1))
        mask = np.pad(mask, sides)
    return wide, mask


def _is_dark(picture: np.ndarray, mask: np.ndarray | None) -> bool:
    """Whether the object is dark. With a mask: darker than mid-grey, so that it would vanish on black.

    Without a mask: the middle of the crop is darker than its border.
    """
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    if mask is not None:
        return bool(mask.any()) and float(grey[mask].mean()) < 128
    rows, columns = grey.shape
    middle = grey[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(middle.mean()) < float(border.mean())
