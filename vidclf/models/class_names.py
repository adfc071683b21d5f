"""Recognises YOLO models by their names, and reads their classes from their files, without torch or their code."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

# Names ultralytics publishes weights under: a family, a size (n, s, m, l, x) and, to get masks, -seg.
PUBLISHED = re.compile(
    r"((yolov8|yolov9|yolov10|yolo11|yolo12|yolo26)[a-z](-seg)?|yolov5[a-z]6?u|yolov3(-spp|-tiny)?u|rtdetr-[lx])(\.pt)?"
)
MOST_BYTES = 16 << 20  # of a pickle; that of YOLO11n, without its tensors, has 125,331


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

    names = yaml.safe_load(path.read_text(encoding="utf-8"))["names"]
    return {int(number): str(name) for number, name in names.items()}


def _from_pickle(path: Path) -> dict[int, str] | None:
    """The attribute `names` of the checkpoint's model: of its average, `ema`, if it has one, as in ultralytics."""
    with zipfile.ZipFile(path) as archive:
        data = next(entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))
        if data.file_size > MOST_BYTES:
            return None
        with archive.open(data) as file:
            checkpoint = _Unpickler(file).load()
    model = checkpoint["model"] if checkpoint.get("ema") is None else checkpoint["ema"]
    names = vars(model)["names"]
    are_plain = all(type(number) is int and type(name) is str for number, name in names.items())
    return dict(names) if names and are_plain else None


class _Shell(dict[Any, Any]):
    """An object of any class: it holds the attributes and items that the pickle gives it, and does nothing.

    Unpickling calls `__new__`, `__init__` and `__setstate__`, and no other code.
    """

    def __init__(self, *_: object, **__: object):
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__ = state

    __hash__ = object.__hash__  # type: ignore[assignment]  # it may be a key


class _Unpickler(pickle.Unpickler):
    """Builds shells only: it imports no class and runs no code that the file names."""

    def find_class(self, module: str, name: str, /) -> type[_Shell]:
        return _Shell

    def persistent_load(self, pid: object) -> None:
        """Leave out a tensor."""
