"""Recognises YOLO models by their names, and reads their classes from their files, without torch or unpickling."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Names ultralytics publishes weights under: a family, a size (n, s, m, l, x) and, to get masks, -seg.
PUBLISHED = re.compile(r"(yolov8|yolov9|yolov10|yolo11|yolo12|yolo26)[a-z](-seg)?(\.pt)?")
KEY = "names"
TEXT = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
NUMBER = {"BININT", "BININT1", "BININT2"}
PUT, GET = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"GET", "BINGET", "LONG_BINGET"}
END = {"SETITEM", "SETITEMS"}
BATCH = 1000  # entries after which pickle begins another batch of the same dict


def read_names(path: Path) -> dict[int, str] | None:
    """The classes by number, of an ultralytics .pt or an exported model's folder; None if they cannot be read.

    None is not an error: the model may be fine, and loading it will show.
    """
    try:
        if path.is_dir():
            return _from_metadata(path / "metadata.yaml")
        return _from_pickle(path) if path.suffix == ".pt" and path.is_file() else None
    except Exception:  # these parsers raise many kinds of errors for a file that is not a model
        return None


def _from_metadata(path: Path) -> dict[int, str]:
    import yaml

    names = yaml.safe_load(path.read_text(encoding="utf-8"))[KEY]
    return {int(number): str(name) for number, name in names.items()}


def _from_pickle(path: Path) -> dict[int, str] | None:
    """The first dict of numbers and texts under the key "names" in the archive's pickle."""
    with zipfile.ZipFile(path) as archive:
        data = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        words = _words(archive.read(data))
    for kind, value in words:
        if kind == "text" and value == KEY and (names := _dict(words)):
            return names
    return None


def _dict(words: Iterator[tuple[str, Any]]) -> dict[int, str] | None:
    """The dict that begins here; None if there is something else, or something else in it."""
    if next(words)[0] != "EMPTY_DICT":
        return None
    names: dict[int, str] = {}
    for kind, number in words:
        if kind in END:
            return names if len(names) < BATCH else None
        if kind == "MARK" and not names:
            continue
        kind_of_name, name = next(words)
        if (kind, kind_of_name) != ("number", "text"):
            return None
        names[number] = name
    return None


def _words(data: bytes) -> Iterator[tuple[str, Any]]:
    """("text", value) and ("number", value) of a pickle in their order; of all else the opcode's name, None."""
    memo: dict[int, str] = {}
    puts, latest = 0, None
    argument: Any
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in PUT:
            if latest is not None:
                memo[puts if name == "MEMOIZE" else int(argument)] = latest
            puts += 1
            continue
        latest = None
        if name in TEXT or (name in GET and int(argument) in memo):
            latest = argument if name in TEXT else memo[int(argument)]
            yield "text", latest
        else:
            yield ("number", argument) if name in NUMBER else (name, None)
