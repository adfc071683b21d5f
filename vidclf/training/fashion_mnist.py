"""Fashion-MNIST, or other data in its format: four IDX files in a folder, or downloaded."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vidclf.errors import UsageError, VidclfError, one_line
from vidclf.lock import locked
from vidclf.models.cache import cache_folder
from vidclf.models.labels import named
from vidclf.models.zoo import FASHION_MNIST
from vidclf.training.pictures import Pictures

# The files of the corrected (2017-09) data set and their MD5 sums, as published with it.
FILES = {
    "train": (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    ),
    "test": (
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
}


def open_idx(folder: Path, part: str, verify: bool = True, labels: Sequence[str] | None = None) -> Pictures:
    """The "train" or the "test" part of the four IDX files in `folder`: grey pictures.

    verify: compare the files with the published checksums (off: other data in the same format).
    labels: the class names; by default those of Fashion-MNIST.
    Raises UsageError on a missing, damaged or unexpected file.
    """
    labels = tuple(labels or FASHION_MNIST)
    (pictures_name, pictures_sum), (targets_name, targets_sum) = FILES[part]
    pictures = read_idx(folder / pictures_name, 3, pictures_sum if verify else None)
    targets = read_idx(folder / targets_name, 1, targets_sum if verify else None)
    if len(pictures) != len(targets):
        raise UsageError(f"{folder}: {len(pictures)} pictures in {pictures_name}, {len(targets)} in {targets_name}")
    if not len(targets) or targets.max() >= len(labels):
        wanted = f"classes must be 0 to {len(labels) - 1}, got {_span(targets)}"
        raise UsageError(f"{folder / targets_name}: {wanted}; the names are for {named(labels)}")
    return Pictures(labels, targets.astype(np.int64), lambda i: (pictures[i], None))


def find_idx(folder: Path) -> Path | None:
    """The folder of the files: this one, or where torchvision puts them below it; None if there are none."""
    places = (folder, folder / "raw", folder / "FashionMNIST" / "raw")
    return next((place for place in places if any((place / f[0][0]).is_file() for f in FILES.values())), None)


def read_idx(path: Path, dimensions: int, md5: str | None = None) -> np.ndarray:
    """Read a gzipped IDX file of bytes (the MNIST format); raises UsageError if it is anything else."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    if md5 is not None and (found := hashlib.md5(packed, usedforsecurity=False).hexdigest()) != md5:
        raise UsageError(
            f"{path}: checksum is {found}, Fashion-MNIST's is {md5}: the file is damaged or different "
            "(use --no-verify for other data in the same format)"
        )
    try:
        raw = gzip.decompress(packed)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UsageError(f"{path}: not a complete gzip file ({error})") from error
    # IDX: two zero bytes, the type (8 = unsigned byte), the number of dimensions, each size as big-endian uint32.
    start = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < start:
        raise UsageError(f"{path}: not an IDX file of bytes in {dimensions} dimension(s)")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dimensions, offset=4))
    if 0 in shape[1:]:
        raise UsageError(f"{path}: its pictures have no pixels: the header says {shape}")
    if len(raw) - start != math.prod(shape):  # of Python's integers, which do not overflow
        raise UsageError(f"{path}: {len(raw) - start} bytes of data, but the header says {shape}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def download() -> Path:
    """Download Fashion-MNIST into the cache, unless it is there already; returns the folder of its files."""
    from torchvision.datasets import FashionMNIST

    root = cache_folder()
    folder = root / "FashionMNIST" / "raw"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / "FashionMNIST"):
            if not all((folder / name).is_file() for files in FILES.values() for name, _ in files):
                FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise VidclfError(
            f"Fashion-MNIST cannot be downloaded ({one_line(error, 200)}): "
            "give a folder with its four .gz files, --data FOLDER"
        ) from error
    return folder


def _span(targets: np.ndarray) -> str:
    return f"{targets.min()} to {targets.max()}" if len(targets) else "none"
