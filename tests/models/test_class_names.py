"""The classes of a detector, read without torch."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidclf.models import class_names
from vidclf.models.class_names import PUBLISHED, read_names

CAT = {0: "cat"}


class Model:
    """What is left of a network if only its classes are looked at."""

    def __init__(self, names: Any):
        self.stride, self.names = 32, names


@pytest.mark.parametrize("name", ["yolo11n", "yolov8s-seg.pt", "yolov5nu", "yolov5x6u.pt", "yolov3-tinyu", "rtdetr-l"])
def test_published_names_are_known(name: str) -> None:
    assert PUBLISHED.fullmatch(name)


@pytest.mark.parametrize("name", ["yolo", "yolov5n", "yolo11n-pose", "rtdetr-s", "mine.pt"])
def test_other_names_are_not(name: str) -> None:
    assert not PUBLISHED.fullmatch(name)


def write(path: Path, names: Any, protocol: int = 2, **more: Any) -> Path:
    """A checkpoint as ultralytics' are, without the tensors."""
    return archive(path, pickle.dumps({"epoch": -1, "model": Model(names), "ema": None} | more, protocol))


def archive(path: Path, data: bytes) -> Path:
    """A file as torch.save makes it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("any/data.pkl", data)
    return path


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    "names", [CAT, {0: "cat", 1: "dog", 300: "bird", 70_000: "cat"}, dict.fromkeys(range(3000), "x")]
)
def test_the_classes_of_a_checkpoint(tmp_path: Path, names: dict[int, str], protocol: int) -> None:
    assert read_names(write(tmp_path / "a.pt", names, protocol)) == names


@pytest.mark.parametrize("protocol", [2, 5])
def test_whatever_else_is_in_the_checkpoint(tmp_path: Path, protocol: int) -> None:
    more = {
        "names": {0: "no"},
        "best": np.float64(0.5),
        "state": OrderedDict(a=1),
        Path("key"): np.zeros(3),
        "of": Model,
    }
    assert read_names(write(tmp_path / "a.pt", CAT, protocol, more=more)) == CAT


def test_the_average_of_the_weights_is_the_model_if_there_is_one(tmp_path: Path) -> None:
    assert read_names(write(tmp_path / "a.pt", CAT, model=None, ema=Model({0: "dog"}))) == {0: "dog"}
    assert read_names(write(tmp_path / "a.pt", CAT, ema=Model({0: "dog"}))) == {0: "dog"}


@pytest.mark.parametrize("names", [["cat", "dog"], {"0": "cat"}, {0: {}}, {0: Model("cat")}, {0: "cat", 1: None}, {}])
def test_what_is_no_plain_list_of_classes_is_not_told(tmp_path: Path, names: Any) -> None:
    assert read_names(write(tmp_path / "a.pt", names)) is None


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    assert read_names(path) is None
    assert read_names(tmp_path) is None
    assert read_names(tmp_path / "nosuch.pt") is None


def test_a_pickle_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.pt", CAT, more="x" * 1000)
    assert read_names(path) == CAT
    monkeypatch.setattr(class_names, "MOST_BYTES", 1000)
    assert read_names(path) is None


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (self._folder,)


def test_no_code_of_the_file_runs(tmp_path: Path) -> None:
    for protocol in range(6):
        path = write(tmp_path / "a.pt", CAT, protocol, first=Bomb(tmp_path / "exploded"))
        assert read_names(path) == CAT
    assert not (tmp_path / "exploded").exists()
    with zipfile.ZipFile(path) as file:
        pickle.loads(file.read("any/data.pkl"))
    assert (tmp_path / "exploded").exists()


MAKE = b"cos\nmkdir\n"  # the opcode c pushes what a module calls by a name
FOLDER = b"(Vexploded\nt"  # ( ... t is a tuple, V is a text
STATE = b"}(V__setstate__\n" + MAKE + b"V__call__\n" + MAKE + b"u"


@pytest.mark.parametrize(
    "data",
    [
        MAKE + FOLDER + b"R.",  # the opcode R calls
        MAKE + FOLDER + b"\x81.",  # calls __new__
        b"(Vexploded\nios\nmkdir\n.",
        b"(" + MAKE + b"Vexploded\no.",
        MAKE + b")R" + STATE + b"b" + FOLDER + b"b.",  # b sets a state: this one has a __setstate__ of its own
        MAKE + b")RN" + STATE + b"\x86b" + FOLDER + b"b.",  # as slots
        MAKE + b"N" + STATE + b"\x86b" + FOLDER + b"R.",  # of the class
        MAKE + STATE + b"b" + FOLDER + b"R.",
        b"cbuiltins\ngetattr\n(" + MAKE + b"V__call__\ntR" + FOLDER + b"R.",
    ],
)
def test_no_opcode_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    before = vars(class_names._Shell).copy()
    assert read_names(archive(Path("a.pt"), data)) is None
    assert not Path("exploded").exists()
    assert vars(class_names._Shell) == before
    assert read_names(write(Path("b.pt"), CAT)) == CAT


def test_lists_in_lists_are_no_problem(tmp_path: Path) -> None:
    assert read_names(archive(tmp_path / "a.pt", b"]" * 1_000_000 + b"a" * 999_999 + b".")) is None


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolo11n_int8_openvino_model"])
def test_the_classes_of_a_real_detector(shared: Path, name: str) -> None:
    names = read_names(shared / "detectors" / name)
    assert names is not None
    assert (len(names), names[0], names[79]) == (80, "person", "toothbrush")
