"""The classes of a detector, read without torch."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vidclf.models.class_names import read_names


def write(path: Path, content: Any, protocol: int = 2) -> Path:
    """An archive as torch.save makes it, without the tensors."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("any/data.pkl", pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    "names", [{0: "cat"}, {0: "cat", 1: "dog", 300: "bird", 70_000: "cat"}, {i: f"thing {i}" for i in range(999)}]
)
def test_the_classes_of_a_checkpoint(tmp_path: Path, names: dict[int, str], protocol: int) -> None:
    content = {"epoch": -1, "word": "cat", "model": {"names": names, "stride": 32}, "ema": None}
    assert read_names(write(tmp_path / "a.pt", content, protocol)) == names


@pytest.mark.parametrize("names", [["cat", "dog"], {"0": "cat"}, {0: {}}, {}, dict.fromkeys(range(1000), "x")])
def test_what_is_no_plain_list_of_classes_is_not_told(tmp_path: Path, names: Any) -> None:
    assert read_names(write(tmp_path / "a.pt", {"names": names, "stride": 32})) is None


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    assert read_names(path) is None
    assert read_names(tmp_path) is None
    assert read_names(tmp_path / "nosuch.pt") is None


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.mkdir, (tmp_path / "exploded",)

    assert read_names(write(tmp_path / "a.pt", {"model": Bomb(), "names": {0: "cat"}})) == {0: "cat"}
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolo11n_int8_openvino_model"])
def test_the_classes_of_a_real_detector(shared: Path, name: str) -> None:
    names = read_names(shared / "detectors" / name)
    assert names is not None
    assert (len(names), names[0], names[79]) == (80, "person", "toothbrush")
