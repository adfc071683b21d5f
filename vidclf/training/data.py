"""Pictures to learn from: Fashion-MNIST from a folder or the network, as one uint8 tensor of crops.

Every picture goes through `preprocess.crop_picture`, exactly as a detection's crop does in a pipeline.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidclf.errors import UsageError, VidclfError
from vidclf.models.classifier import to_tensor
from vidclf.models.zoo import FASHION_MNIST
from vidclf.preprocess import Preprocess, crop_picture

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


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled crops."""

    images: Tensor  # (N, channels, size, size) uint8
    targets: Tensor  # (N,) int64, indices into `labels`
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, indices: Tensor) -> Dataset:
        """The crops at these indices."""
        return Dataset(self.images[indices], self.targets[indices], self.labels)

    def to(self, device: str) -> Dataset:
        """The same crops on another device."""
        return Dataset(self.images.to(device), self.targets.to(device), self.labels)

    def digest(self) -> str:
        """A hash of every crop and label, to tell later what a network was trained on."""
        sums = hashlib.sha256(self.images.numpy().tobytes())
        sums.update(self.targets.numpy().tobytes())
        return f"sha256:{sums.hexdigest()}"


def load(
    folder: Path | None, part: str, policy: Preprocess, verify: bool = True, labels: Sequence[str] = FASHION_MNIST
) -> Dataset:
    """The "train" or the "test" part of Fashion-MNIST, every picture preprocessed by `policy`.

    folder: holds the four IDX .gz files, or FashionMNIST/raw with them; None downloads them into a cache.
    verify: compare the files with the published checksums (off: other data in the same format).
    Raises UsageError on a missing, damaged or unexpected file, VidclfError where nothing can be downloaded.
    """
    folder = download() if folder is None else _with_files(folder)
    (pictures_name, pictures_sum), (targets_name, targets_sum) = FILES[part]
    pictures = read_idx(folder / pictures_name, 3, pictures_sum if verify else None)
    targets = read_idx(folder / targets_name, 1, targets_sum if verify else None)
    if len(pictures) != len(targets):
        raise UsageError(f"{folder}: {len(pictures)} pictures in {pictures_name}, {len(targets)} in {targets_name}")
    if not len(targets) or targets.max() >= len(labels):
        raise UsageError(f"{folder / targets_name}: wants classes 0 to {len(labels) - 1}, got {_span(targets)}")
    crops = to_tensor([crop_picture(picture, policy) for picture in pictures])
    return Dataset(crops, torch.from_numpy(targets.astype(np.int64)), tuple(labels))


def split(data: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Take `share` of every class away for validation: (the rest, what was taken), each in its old order."""
    generator = torch.Generator().manual_seed(seed)
    taken = torch.zeros(len(data), dtype=torch.bool)
    for target in data.targets.unique():
        members = (data.targets == target).nonzero().flatten()
        chosen = torch.randperm(len(members), generator=generator)[: round(share * len(members))]
        taken[members[chosen]] = True
    return data.subset(~taken), data.subset(taken)


def read_idx(path: Path, dimensions: int, md5: str | None = None) -> np.ndarray:
    """Read a gzipped IDX file of bytes (the MNIST format); raises UsageError where it is not what it should be."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    if md5 is not None and (found := hashlib.md5(packed, usedforsecurity=False).hexdigest()) != md5:
        raise UsageError(
            f"{path}: checksum is {found}, Fashion-MNIST's is {md5}: the file is damaged or another one "
            "(--no-verify takes other data of the same format)"
        )
    try:
        raw = gzip.decompress(packed)
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"{path}: not a complete gzip file ({error})") from error
    # IDX: two zero bytes, the type (8 = unsigned byte), the number of dimensions, each size as big-endian uint32.
    start = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, 8, dimensions)) or len(raw) < start:
        raise UsageError(f"{path}: not an IDX file of bytes in {dimensions} dimension(s)")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", dimensions, offset=4))
    if len(raw) - start != int(np.prod(shape)):
        raise UsageError(f"{path}: {len(raw) - start} bytes of data, its header says {shape}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def download() -> Path:
    """Fetch Fashion-MNIST with torchvision unless it is there already; returns the folder of its files."""
    from torchvision.datasets import FashionMNIST

    root = Path.home() / ".cache" / "vidclf"
    folder = root / "FashionMNIST" / "raw"
    if not all((folder / name).is_file() for files in FILES.values() for name, _ in files):
        try:
            FashionMNIST(str(root), download=True)
        except (OSError, RuntimeError) as error:
            raise VidclfError(
                f"Fashion-MNIST cannot be downloaded ({str(error).splitlines()[0]}): "
                "give a folder with its four .gz files, --data FOLDER"
            ) from error
    return folder


def _with_files(folder: Path) -> Path:
    """The folder itself, or the one below it where torchvision puts the files."""
    first = FILES["train"][0][0]
    for place in (folder, folder / "raw", folder / "FashionMNIST" / "raw"):
        if (place / first).is_file() or (place / FILES["test"][0][0]).is_file():
            return place
    what = "holds neither" if folder.is_dir() else "is no folder: there is neither"
    raise UsageError(f"{folder} {what} {first} nor FashionMNIST/raw/{first}")


def _span(targets: np.ndarray) -> str:
    return f"{targets.min()} to {targets.max()}" if len(targets) else "none"
