"""Small data sets in class-named folders: colour pictures of any size, easy to tell apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

COLOURS = {"blue": (230, 60, 40), "green": (50, 200, 60), "red": (40, 50, 220)}  # BGR


def paint(label: str, seed: int, size: tuple[int, int] = (48, 36)) -> np.ndarray:
    """(height, width, 3) uint8: a noisy square of the class's colour on black; `size` is (width, height)."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 30, (size[1], size[0], 3), dtype=np.uint8)
    x, y = size[0] // 4, size[1] // 4
    image[y : 3 * y, x : 3 * x] += np.array(COLOURS[label], np.uint8) - 20
    return image


def write_picture(path: Path, image: np.ndarray) -> Path:
    """A picture file in the format its suffix names; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def write_classes(folder: Path, count: int = 10, first: int = 0) -> Path:
    """`count` pictures a class, PNG and JPEG by turns, in folder/CLASS; returns the folder."""
    for label in COLOURS:
        for n in range(first, first + count):
            write_picture(folder / label / f"{n:03d}{('.png', '.jpg')[n % 2]}", paint(label, n, (40 + n, 36)))
    return folder
