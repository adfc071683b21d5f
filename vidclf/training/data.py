"""The training pictures, from Fashion-MNIST's files or from class-named folders, as one uint8 tensor of crops.

Every picture goes through `preprocess.crop_picture`, exactly as a detection's crop does in a pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidclf.errors import UsageError
from vidclf.models.classifier import to_tensor
from vidclf.models.labels import UNSORTED, named, order
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.training import fashion_mnist, pictures
from vidclf.training.config import Config
from vidclf.training.progress import Progress

MOST_TOLD = 5  # damaged pictures in an error


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

    def named_as(self, labels: Sequence[str]) -> Dataset:
        """The same crops, their classes spelled and ordered as in `labels` if these are the same (see `order`)."""
        places = order(self.labels, labels)
        return self if places is None else Dataset(self.images, torch.tensor(places)[self.targets], tuple(labels))

    def digest(self) -> str:
        """A hash of all crops and labels, to identify later what a network was trained on."""
        sums = hashlib.sha256(self.images.contiguous().numpy().data)
        sums.update(self.targets.contiguous().numpy().data)
        return f"sha256:{sums.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run learns from, chooses its best epoch by and is tested on, of the same classes.

    digests: hashes of the pictures, and the classes, to notice when a run is resumed with others.
    """

    learning: Dataset
    validation: Dataset
    test: Dataset
    digests: dict[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.learning.labels

    def to(self, device: str) -> Parts:
        """The same crops on another device."""
        return Parts(self.learning.to(device), self.validation.to(device), self.test.to(device), self.digests)


def load_parts(
    config: Config, folder: Path | None, policy: Preprocess, before: Sequence[str], verify: bool, progress: Progress
) -> Parts:
    """Everything in `folder`, every picture preprocessed by `policy`.

    before: the classes of the network that the run starts from. If they are those of the pictures, its spelling and
    order are taken.
    The other arguments and errors: see `open_pictures`; also UsageError that names a damaged picture.
    """
    names = config.labels or None
    everything = load(folder, "train", policy, verify, names, progress.live).named_as(before)
    progress.line(named(everything.labels))
    # Opened by the same names, because IDX files have only their numbers; their order follows.
    test = load(folder, "test", policy, verify, names, progress.live).named_as(everything.labels)
    learning, validation = set_aside(everything, config.validation, folder, policy)
    digests: dict[str, Any] = {"data": everything.digest(), "validation": validation.digest(), "test": test.digest()}
    digests["classes"] = list(everything.labels)
    return Parts(learning, validation, test, digests)


def load(
    folder: Path | None,
    part: str,
    policy: Preprocess,
    verify: bool = True,
    labels: Sequence[str] | None = None,
    tell: Callable[[str], object] = lambda _: None,
    whole: bool = False,
) -> Dataset:
    """One part of the pictures in `folder`, "train", "test" or "valid", every picture preprocessed by `policy`.

    labels: a classifier's, which the targets then index; by default the folder names or Fashion-MNIST's.
    tell: called with the progress as text.
    The other arguments and errors: see `open_pictures`; also UsageError that names the damaged pictures.
    """
    found = open_pictures(folder, part, verify, labels, whole)
    crops = torch.empty(len(found.targets), policy.channels, policy.size, policy.size, dtype=torch.uint8)
    damaged: list[UsageError] = []
    for i in range(len(crops)):
        try:
            image, mask = found.read(i)
        except UsageError as error:  # read on, so that all of them are told at once
            damaged.append(error)
            continue
        crops[i] = to_tensor([crop_picture(image, policy, mask=mask)])[0]
        tell(f"reading the {part} pictures, {i + 1:,} of {len(crops):,}")
    if damaged:
        more = f"; and {len(damaged) - MOST_TOLD} more" if len(damaged) > MOST_TOLD else ""
        raise UsageError("; ".join(map(str, damaged[:MOST_TOLD])) + more)
    return Dataset(crops, torch.from_numpy(found.targets), found.labels)


def open_pictures(
    folder: Path | None, part: str, verify: bool = True, labels: Sequence[str] | None = None, whole: bool = False
) -> pictures.Pictures:
    """Find one part of the pictures in `folder`, and their labels; nothing is decoded yet.

    folder: class-named folders of pictures (see `pictures.open_folder`); or Fashion-MNIST's four IDX .gz files, or
    FashionMNIST/raw with them; None downloads these into a cache.
    verify: compare Fashion-MNIST's files with the published checksums.
    whole: if training holds back some pictures of a folder for testing (`holds_back`), all of them are the part.
    Raises UsageError on missing, damaged or unexpected files, VidclfError if the download fails.
    """
    if folder is None:
        return fashion_mnist.open_idx(fashion_mnist.download(), part, verify, labels)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if place := fashion_mnist.find_idx(folder):
        return fashion_mnist.open_idx(place, part, verify, labels)
    if pictures.has_classes(folder):
        return pictures.open_folder(folder, part, labels, whole)
    first = fashion_mnist.FILES["train"][0][0]
    raise UsageError(
        f"{folder} contains neither folders of pictures, one per class, nor Fashion-MNIST "
        f"({first} and three more files, or FashionMNIST/raw with them)"
    )


def check_outside(run: Path, output: Path, folder: Path | None) -> None:
    """Raise UsageError if a run, or its weights, would make a folder that is taken for a class the next time."""
    if folder is None or not folder.is_dir() or fashion_mnist.find_idx(folder):
        return
    for place in pictures.folders_of_classes(folder):
        if run.resolve().is_relative_to(place.resolve()):
            ways = "choose another place with --run FOLDER"
            raise UsageError(f"{run} would be among the class folders in {place}: {ways}")
        below = output.resolve().parent
        if below.is_relative_to(place.resolve()) and below != place.resolve():
            name = below.relative_to(place.resolve()).parts[0]
            if not ((place / name).exists() or name.startswith(".") or name == UNSORTED):
                ways = "choose another place with -o FILE"
                raise UsageError(f"{place / name} would be among the class folders in {place}: {ways}")


def is_numbered(folder: Path | None) -> bool:
    """Whether the classes have only numbers: Fashion-MNIST, or other data in its format."""
    return folder is None or fashion_mnist.find_idx(folder) is not None


def holds_back(folder: Path | None) -> bool:
    """Whether there are no pictures for testing in a folder of class folders, so that training holds some back."""
    return folder is not None and not fashion_mnist.find_idx(folder) and not pictures.has_part(folder, "test")


def has_validation(folder: Path | None) -> bool:
    """Whether there is FOLDER/valid, whose pictures validate."""
    return folder is not None and not fashion_mnist.find_idx(folder) and pictures.has_part(folder, "valid")


def set_aside(train: Dataset, share: float, folder: Path | None, policy: Preprocess) -> tuple[Dataset, Dataset]:
    """(training, validation) crops; validation is FOLDER/valid if it exists, else `share` of every class."""
    if has_validation(folder):
        return train, load(folder, "valid", policy, labels=train.labels)
    return split(train, share)


def split(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """Split off `share` of every class for validation: (training, validation), each in its old order.

    At least one picture of every class that has three, so that a rare class also affects which epoch is kept.
    The same pictures for every seed: a teacher must not have learned the pictures that validate its student.
    """
    generator = torch.Generator().manual_seed(0)
    taken = torch.zeros(len(data), dtype=torch.bool)
    for target in data.targets.unique():
        members = (data.targets == target).nonzero().flatten()
        count = max(round(share * len(members)), int(share > 0 and len(members) >= 3))
        chosen = torch.randperm(len(members), generator=generator)[:count]
        taken[members[chosen]] = True
    return data.subset(~taken), data.subset(taken)


def class_weights(targets: Tensor, classes: int) -> Tensor:
    """(classes,) float32: the inverse of each class's frequency, mean 1 over the crops; 0 for absent classes."""
    counts = targets.bincount(minlength=classes)
    present = counts > 0
    return len(targets) / (present.sum() * counts.clamp(min=1).float()) * present
