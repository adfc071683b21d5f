"""A tiny data set in Fashion-MNIST's files: ten bars at ten heights, noisy, and easy to learn."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from vidclf.training.fashion_mnist import FILES


def bars(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(count, 28, 28) uint8 pictures and their (count,) classes, every class as often as the others."""
    random = np.random.default_rng(seed)
    targets = np.arange(count, dtype=np.uint8) % 10
    pictures = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for picture, target in zip(pictures, targets, strict=True):
        row = 3 + 2 * int(target)
        picture[row : row + 3, 4:24] = 220
    return pictures, targets


def write_idx(path: Path, values: np.ndarray) -> None:
    """A gzipped IDX file of bytes."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))


def write_bars(folder: Path, train: int = 200, test: int = 50) -> Path:
    """The four files in `folder`, which is made; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("test", test)):
        for (name, _), values in zip(FILES[part], bars(count, seed=count), strict=True):
            write_idx(folder / name, values)
    return folder
