"""Folders of pictures, one per class: which class and which part (train, valid, test) each file belongs to."""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidclf.errors import UsageError
from vidclf.models.labels import UNSORTED, by_folder, folder_name
from vidclf.training.picture_file import SUFFIXES, Picture, read_picture

log = logging.getLogger(__name__)

# Names for the folders of the parts, in any case.
PARTS = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
TEST_SHARE = 0.2  # of every class, if there is no folder of test pictures
CLUTTER = frozenset(("thumbs.db", "desktop.ini", "@eadir"))  # files that operating systems leave behind


@dataclass(frozen=True, slots=True)
class Pictures:
    """Labelled pictures, read one at a time, so that a folder of any size fits into memory."""

    labels: tuple[str, ...]
    targets: np.ndarray  # (N,) int64, indices into `labels`
    read: Callable[[int], Picture]  # the picture of that number; UsageError if it is damaged


def open_folder(folder: Path, part: str, labels: Sequence[str] | None = None, whole: bool = False) -> Pictures:
    """One part, "train", "valid" or "test", of FOLDER/CLASS/*.jpg or of FOLDER/train/CLASS/*.jpg, FOLDER/test/...

    Without FOLDER/test, "test" is a fifth of every class (`TEST_SHARE`, at least one picture) and "train" the rest.
    The test pictures are those whose file names have the smallest SHA-256, so they are the same every time, and new
    pictures hardly change the choice. whole: all pictures of such a folder are "test".
    labels: the expected ones, such as a classifier's, which the targets then index; by default the folders', sorted.
    Pictures can be at any depth below their class. Hidden files and the class folder `unsorted` are ignored.
    The parts may also have the names in `PARTS`. For "train", other folders beside them are logged as a warning.
    Raises UsageError on fewer than two classes, on a class without pictures, on ambiguous names, and if the classes
    are not the same in every part, or not those of `labels`.
    """
    parts = _parts(folder)
    place = parts.get("train" if part == "test" and "test" not in parts else part)
    if place is None:
        raise UsageError(f"{folder}: it has no folder {part}, only {', '.join(parts) or 'others'}")
    if part == "train" and place != folder:
        beside = ", ".join(other.name for other in _folders(folder) if other not in parts.values())
        if beside:
            known = " and ".join(other.name for other in parts.values())
            log.warning("%s: ignored, because there are the folders %s: %s", folder, known, beside)
    classes = _classes(place)
    if len(classes) < 2:
        raise UsageError(f"{place}: at least two classes are needed, one folder each; there is only {min(classes)}")
    for other in parts.values():
        problem = f"{folder}: the classes of {place.name} and {other.name} differ"
        _same(problem, place.name, classes, other.name, _classes(other))
    # Training opens the same folder for both parts: what is skipped is told once.
    files = {name: _files(place / spelled, part != "test" or whole) for name, spelled in classes.items()}
    if "test" not in parts and part != "valid" and not whole:
        files = {name: _share(found, part, place / classes[name]) for name, found in files.items()}

    labels = tuple(classes) if labels is None else tuple(labels)
    by_folder(labels, "labels")
    number = {folder_name(label): index for index, label in enumerate(labels)}
    _same(f"{place}: not the expected classes", "folder", set(map(folder_name, classes)), "expected", number)
    listed = [(number[folder_name(name)], file) for name, found in files.items() for file in found]
    return Pictures(labels, np.array([target for target, _ in listed], np.int64), lambda i: read_picture(listed[i][1]))


def has_part(folder: Path, part: str) -> bool:
    """Whether a folder has a separate folder for this part."""
    return part in _parts(folder)


def has_classes(folder: Path) -> bool:
    """Whether there are class folders, in the folder itself or in its parts."""
    return bool(_parts(folder))


def folders_of_classes(folder: Path) -> list[Path]:
    """The folders with class folders, where any new folder would be a class: the parts, or the folder itself."""
    return list(_parts(folder).values())


def _parts(folder: Path) -> dict[str, Path]:
    """The folder of each part: FOLDER/CLASS is all "train"; a class `train` has pictures right in it."""
    found: dict[str, Path] = {}
    for place in _folders(folder):
        part = PARTS.get(place.name.lower())
        if part and _folders(place) and found.setdefault(part, place) != place:
            raise UsageError(f"{folder}: {found[part].name} and {place.name} are two folders for the same part")
    return found or ({"train": folder} if _folders(folder) else {})


def _classes(folder: Path) -> dict[str, str]:
    """The class folders, sorted: name, and how the file system spells it (macOS may decompose accents)."""
    spelled = by_folder((place.name for place in _folders(folder)), str(folder)).values()
    return {unicodedata.normalize("NFC", name): name for name in spelled}


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, except hidden ones and `unsorted`."""
    try:
        found = [place for place in folder.iterdir() if place.is_dir() and not _is_hidden(place.name)]
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror or error}") from None
    return sorted((place for place in found if place.name != UNSORTED), key=lambda place: place.name)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__")) or name.lower() in CLUTTER


def _files(folder: Path, tells_skipped: bool = True) -> list[Path]:
    """The pictures below a class folder, in an order that is the same on every system."""
    files = [path for path in _walk(folder) if path.is_file()]
    files = [path for path in files if not any(map(_is_hidden, path.relative_to(folder).parts))]
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    others = ", ".join(sorted({path.suffix.lower() or path.name for path in files} - SUFFIXES))
    if not found:
        raise UsageError(f"{folder}: no pictures in this class folder{f', only {others}' if others else ''}")
    if others and tells_skipped:
        count = len(files) - len(found)
        what = "1 file is not a picture and was" if count == 1 else f"{count} files are not pictures and were"
        log.warning("%s: %s skipped (%s)", folder, what, others)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    """What is below a folder and not a folder, linked folders included; each is entered once, so that loops end.

    Hidden folders are not entered. UsageError if another one cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename}: {error.strerror or error}")

    entered = set()
    for place, below, names in os.walk(folder, onerror=refuse, followlinks=True):
        below[:] = [name for name in below if not _is_hidden(name)]
        about = os.stat(place)  # noqa: PTH116 - a string, from os.walk
        if (about.st_dev, about.st_ino) in entered:
            below.clear()
            continue
        entered.add((about.st_dev, about.st_ino))
        yield from (Path(place, name) for name in names)


def _share(files: list[Path], part: str, folder: Path) -> list[Path]:
    """The test pictures of a class, or the others."""
    if len(files) < 2:
        raise UsageError(f"{folder}: only one picture; two are needed, one for training and one for testing")
    # By the name first, which a file keeps where it is moved; the path decides where names repeat.
    places = {path: (path.name, path.relative_to(folder).as_posix()) for path in files}
    drawn = sorted(files, key=lambda path: [hashlib.sha256(os.fsencode(text)).digest() for text in places[path]])
    test = set(drawn[: max(1, round(TEST_SHARE * len(files)))])
    return [path for path in files if (path in test) == (part == "test")]


def _same(problem: str, one: str, ones: Collection[str], other: str, others: Collection[str]) -> None:
    differences = ((one, set(ones) - set(others)), (other, set(others) - set(ones)))
    told = [f"only in {where}: {', '.join(sorted(names))}" for where, names in differences if names]
    if told:
        raise UsageError(f"{problem} ({'; '.join(told)})")
