"""Folders of pictures, one folder a class: which files belong to which class, and which part they belong to."""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidclf.errors import UsageError
from vidclf.models.labels import UNSORTED, folder_name
from vidclf.training.picture_file import SUFFIXES, Picture, read_picture

log = logging.getLogger(__name__)

PARTS = ("train", "valid", "test")
TEST_SHARE = 0.2  # of every class, where there is no folder of test pictures
CLUTTER = frozenset(("thumbs.db", "desktop.ini"))  # what systems leave behind


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labelled pictures, read one at a time, so that a folder of any size fits into memory."""

    labels: tuple[str, ...]
    targets: np.ndarray  # (N,) int64, indices into `labels`
    read: Callable[[int], Picture]  # the picture of that number; UsageError where it is damaged


def open_folder(folder: Path, part: str, labels: Sequence[str] | None = None) -> Pictures:
    """One part, "train", "valid" or "test", of FOLDER/CLASS/*.jpg or of FOLDER/train/CLASS/*.jpg, FOLDER/test/...

    Without FOLDER/test, "test" is a fifth of every class (`TEST_SHARE`, at least one picture) and "train" the rest:
    those whose file names have the smallest SHA-256, so the same ones every time, and new pictures hardly move any.
    labels: those wanted, say a classifier's, in whose order the targets then are; by default the folders', sorted.
    Pictures lie at any depth below their class. Hidden files do not count, nor does a class folder `unsorted`.
    Raises UsageError on fewer than two classes, on a class without pictures, and where the classes are not the same
    in every part, or not those of `labels`.
    """
    parts = _parts(folder)
    place = parts.get("train" if part == "test" and "test" not in parts else part)
    if place is None:
        raise UsageError(f"{folder}: no folder {part} in it, only {', '.join(parts) or 'others'}")
    classes = _classes(place)
    if len(classes) < 2:
        raise UsageError(f"{place}: at least two classes are needed, a folder each; there is only {min(classes)}")
    for name, other in parts.items():
        _same(f"{folder}: the classes of {place.name} and {name} differ", place.name, classes, name, _classes(other))
    files = {name: _files(place / spelled) for name, spelled in classes.items()}
    if "test" not in parts and part != "valid":
        files = {name: _share(found, part, place / name) for name, found in files.items()}

    labels = tuple(classes) if labels is None else tuple(labels)
    number = {folder_name(label): index for index, label in enumerate(labels)}
    _same(f"{place}: the classes are not those wanted", "folder", set(map(folder_name, classes)), "wanted", number)
    listed = [(number[folder_name(name)], file) for name, found in files.items() for file in found]
    return Pictures(labels, np.array([target for target, _ in listed]), lambda i: read_picture(listed[i][1]))


def has_part(folder: Path, part: str) -> bool:
    """Whether a folder has such a part in a folder of its own."""
    return part in PARTS and _is_part(folder / part)


def has_classes(folder: Path) -> bool:
    """Whether there are class folders, in the folder itself or in its parts."""
    return bool(_parts(folder))


def _parts(folder: Path) -> dict[str, Path]:
    """Where each part lies: FOLDER/CLASS is all "train"; a class may be called `train`, if pictures lie right in it."""
    found = {name: folder / name for name in PARTS if has_part(folder, name)}
    return found or ({"train": folder} if _is_part(folder) else {})


def _is_part(folder: Path) -> bool:
    return folder.is_dir() and bool(_classes(folder))


def _classes(folder: Path) -> dict[str, str]:
    """The class folders, sorted: name, and how the file system spells it (macOS may decompose accents)."""
    try:
        spelled = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from None
    return {unicodedata.normalize("NFC", name): name for name in spelled if name != UNSORTED}


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _files(folder: Path) -> list[Path]:
    """The pictures below a class folder, in an order that is the same on every system."""
    files = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path)]
    files = [path for path in files if path.name.lower() not in CLUTTER]
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    others = ", ".join(sorted({path.suffix.lower() or path.name for path in files} - SUFFIXES))
    if not found:
        raise UsageError(f"{folder}: no picture in this class folder{f', only {others}' if others else ''}")
    if others:
        log.warning("%s: %d files are no pictures and left out (%s)", folder, len(files) - len(found), others)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _share(files: list[Path], part: str, folder: Path) -> list[Path]:
    """The test pictures of a class, or the others."""
    if len(files) < 2:
        raise UsageError(f"{folder}: only one picture; two are needed, one to learn from and one to test with")
    drawn = sorted(files, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    test = set(drawn[: max(1, round(TEST_SHARE * len(files)))])
    return [path for path in files if (path in test) == (part == "test")]


def _same(problem: str, one: str, ones: Collection[str], other: str, others: Collection[str]) -> None:
    differences = ((one, set(ones) - set(others)), (other, set(others) - set(ones)))
    told = [f"only in {where}: {', '.join(sorted(names))}" for where, names in differences if names]
    if told:
        raise UsageError(f"{problem} ({'; '.join(told)})")
