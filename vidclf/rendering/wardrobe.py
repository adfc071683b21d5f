"""The objects of a rendered clip: cut out of held-out pictures, or drawn; no picture repeats before all were used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np

from vidclf.resources import shipped

BLACK = 12  # pixels up to this value that are connected to the border are background: data sets show objects on black
SMALLEST = 160  # pixels; smaller pictures are enlarged by cubic interpolation, to avoid visible squares


class Wardrobe:
    """Labelled sprites, dealt like cards: every class once, then every class again in another order.

    labels: the classes. counts: pictures of each. read: (class, number of the picture in it) -> sprite, which is
    (height, width, 4) uint8: blue, green and red multiplied by the coverage, and the coverage.
    """

    def __init__(self, labels: Sequence[str], counts: Sequence[int], read: Callable[[int, int], np.ndarray]):
        self.labels, self._counts, self._read = tuple(labels), tuple(counts), read

    def deal(self, number: int, seed: int) -> tuple[str, np.ndarray]:
        """The label and the sprite of the object with this number, independent of earlier calls."""
        turn, place = divmod(number, len(self.labels))
        index = int(np.random.default_rng([seed, turn]).permutation(len(self.labels))[place])
        order = np.random.default_rng([seed, 1, index]).permutation(self._counts[index])
        return self.labels[index], self._read(index, int(order[turn % len(order)]))


def from_pictures(folder: Path, verify: bool = True) -> Wardrobe:
    """The test pictures of a data folder, see `vidclf.training.data.open_pictures`."""
    from vidclf.training.data import open_pictures

    found = open_pictures(folder, "test", verify)
    members = [np.flatnonzero(found.targets == index) for index in range(len(found.labels))]
    there = [index for index, numbers in enumerate(members) if len(numbers)]
    return Wardrobe(
        [found.labels[index] for index in there],
        [len(members[index]) for index in there],
        lambda index, number: cut_out(*found.read(int(members[there[index]][number]))),
    )


def drawn() -> Wardrobe:
    """The ten garments of the sample clip, one drawing each."""
    folder = str(shipped("samples"))
    sys.path.insert(0, folder)  # they are plain scripts that import each other by name
    try:
        garments = import_module("garments")
    finally:
        sys.path.remove(folder)
    labels = list(garments.GARMENTS)
    return Wardrobe(labels, [1] * len(labels), lambda index, _: garments.draw_garment(labels[index]))


def cut_out(image: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """A picture as a trimmed sprite. Without a mask, black that is connected to the border is background.

    image: (height, width) or (height, width, 3) uint8. A picture without a black border is used as a whole.
    """
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if mask is None:
        mask = _not_black(image)
    cover = 255 * mask.astype(np.uint8)
    if not cover.any():
        cover[...] = 255  # a black picture
    x, y, width, height = cv2.boundingRect(cover)
    sprite = np.dstack([image * (cover > 0)[..., None], cover])[y : y + height, x : x + width]
    sprite = np.pad(sprite, ((1, 1), (1, 1), (0, 0)))
    if (scale := SMALLEST / max(width, height)) > 1:
        sprite = cv2.resize(sprite, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        sprite[..., :3] = np.minimum(sprite[..., :3], sprite[..., 3:])
    return sprite


def _not_black(image: np.ndarray) -> np.ndarray:
    """(height, width) bool: false for dark pixels that are connected to the picture's border."""
    # Padding connects all dark pixels at the border.
    dark = np.pad((image.max(axis=2) <= BLACK).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(dark, None, (0, 0), 2)
    return dark[1:-1, 1:-1] != 2
