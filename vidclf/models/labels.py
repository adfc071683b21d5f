"""Names of classes: in a file that lists them, and as the folder of their crops."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import shorten

from vidclf.errors import UsageError

LONGEST = 100  # bytes of a folder's name; systems allow 255, but some of a whole path only 260 characters
UNSORTED = "unsorted"  # the folder of crops without a label; it is never a class
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # device names on Windows


def folder_name(label: str) -> str:
    """A label as the name of a folder on any system: "T-shirt/top" -> "T-shirt_top"; "" -> "unsorted".

    Characters that a system does not allow become "_". Accents are composed (Unicode NFC), because macOS may decompose
    them.
    """
    name = _cut(re.sub(r'[\x00-\x1f\x7f\ud800-\udfff<>:"/\\|?*]', "_", unicodedata.normalize("NFC", label)))
    if name.startswith(".") or _RESERVED.fullmatch(name):
        name = _cut(f"_{name}")
    return name or UNSORTED


def _cut(name: str) -> str:
    """A name of at most `LONGEST` bytes, without spaces around it and dots at its end."""
    short = name.strip().encode()[:LONGEST].decode("utf-8", "ignore")
    return re.sub(r"^\s+|[.\s]+$", "", short)


def by_folder(names: Iterable[str], where: str) -> dict[str, str]:
    """Each class by its folder's name; UsageError if two have the same one, and on a name that is not UTF-8."""
    found: dict[str, str] = {}
    for name in names:
        if name != name.encode("utf-8", "ignore").decode():
            raise UsageError(f"{where}: the name {name!a} is not UTF-8; rename it")
        if found.setdefault(folder_name(name), name) != name:
            raise UsageError(f"{where}: {found[folder_name(name)]!a} and {name!a} have the same folder name")
    return found


def order(labels: Sequence[str], others: Sequence[str]) -> list[int] | None:
    """Where each of `labels` is in `others`, which are the same classes in any order; None if they are not.

    Classes with other names are compared by their folder names: `T-shirt_top` is `T-shirt/top`.
    Raises UsageError if two of `labels` have the same folder name, because either may be meant.
    """
    if sorted(labels) == sorted(others):
        return [others.index(label) for label in labels]
    theirs = [folder_name(label) for label in others]
    if sorted(map(folder_name, labels)) != sorted(theirs):
        return None
    return [theirs.index(name) for name in by_folder(labels, "labels")]


def named(labels: Sequence[str]) -> str:
    """Classes as text, as many as fit: "3 classes: bike, car, van"."""
    return f"{len(labels)} classes: {shorten(', '.join(labels), 100, placeholder=' ...')}"


def read_labels(path: Path) -> list[str]:
    """Class names from a text file, one per line, or from JSON: a list, or an object of numbers and names.

    Raises UsageError on anything else, on empty or duplicate names, on fewer than two, and on those that `by_folder`
    refuses.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            found = json.loads(text)
            if isinstance(found, dict):
                found = [found[str(i)] for i in range(len(found))]
        else:
            found = [line for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, RecursionError) as error:
        raise UsageError(f"{path}: not a list of class names: {type(error).__name__}: {error}") from error
    if not isinstance(found, list) or not all(isinstance(name, str) and name.strip() for name in found):
        raise UsageError(f"{path}: not a list of class names")
    found = [name.strip() for name in found]
    by_folder(found, str(path))
    if len(found) < 2 or len(set(found)) < len(found):
        raise UsageError(f"{path}: at least two different class names are needed, each once; got {', '.join(found)}")
    return found
