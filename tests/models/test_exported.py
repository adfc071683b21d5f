"""Exported classifiers: their headers, and files that are none."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.models.conftest import COLOUR
from vidclf.errors import UsageError
from vidclf.models import checkpoint, load
from vidclf.models.exporting import export
from vidclf.models.predictor import Predictor


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt"])
def test_an_exported_file_says_of_itself_what_the_checkpoint_says(exports: Path, suffix: str) -> None:
    original = checkpoint.read_header(exports / "pets.safetensors")
    header = checkpoint.read_header(exports / f"pets{suffix}")
    assert {key: header[key] for key in original} == original
    assert header["labels"] == ["cat", "dog", "größer"]
    assert checkpoint.read_preprocess(exports / f"pets{suffix}") == COLOUR


def test_their_headers_are_read_without_any_runtime(exports: Path) -> None:
    code = (
        "import sys; from vidclf.models.checkpoint import read_preprocess; "
        f"print(*[read_preprocess({str(exports)!r} + '/pets' + s).size for s in ('.onnx', '.xml', '.pt')], "
        "*{'torch', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["32", "32", "32"]


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt"])
@pytest.mark.parametrize("content", ["nothing", "text", "half"])
def test_what_is_no_exported_classifier_is_told_in_one_line(
    exports: Path, tmp_path: Path, suffix: str, content: str
) -> None:
    whole = (exports / f"pets{suffix}").read_bytes()
    path = tmp_path / f"bad{suffix}"
    path.write_bytes({"nothing": b"", "text": b"not a model", "half": whole[: len(whole) // 2]}[content])
    with pytest.raises(UsageError, match=rf"bad\{suffix}: not an? \w+ model, or cut short") as caught:
        checkpoint.read_header(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["cat", "dog"]}, "its header names 2 labels, but its network has 3 outputs"),
        (
            {"preprocess": {"size": 28}},
            "its network cannot take crops of size 28 and channels 1, which its header names",
        ),
    ],
)
def test_an_exported_network_has_to_fit_its_header(
    exports: Path, tmp_path: Path, kind: str, changes: dict[str, object], words: str
) -> None:
    """It failed, or gave wrong labels, only amid the frames."""
    header = checkpoint.read_header(exports / "pets.safetensors") | changes
    path = tmp_path / {"onnx": "pets.onnx", "openvino": "pets.xml", "torchscript": "pets.pt"}[kind]
    export(load(exports / "pets.safetensors"), header, kind, path)
    for backend in ("onnx", "openvino") if kind == "onnx" else ("auto",):
        with pytest.raises(UsageError) as told:
            Predictor(str(path), backend, "cpu", "f32")
        assert str(told.value).startswith(f"{path}: {words}")
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("fault", ["encrypted", "compressed", "method"])
def test_an_archive_that_cannot_be_unpacked_is_no_model(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/extra/vidclf", "{}" * 300)
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\1\2")
    if fault == "encrypted":
        content[6] |= 1
        content[entry + 8] |= 1
    elif fault == "method":
        content[8] = content[entry + 10] = 99
    else:
        start = 30 + len("x/extra/vidclf")
        content[start : start + 2] = b"\xff\xff"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a TorchScript model, or cut short"):
        checkpoint.read_header(path)


def test_an_unknown_encoding_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.bin").touch()
    (tmp_path / "x.xml").write_text('<?xml version="1.0" encoding="none-such"?><net/>')
    with pytest.raises(UsageError, match="not an OpenVINO model, or cut short"):
        checkpoint.read_header(tmp_path / "x.xml")


def test_an_openvino_model_needs_its_own_other_half(exports: Path, tmp_path: Path) -> None:
    (tmp_path / "pets.xml").write_bytes((exports / "pets.xml").read_bytes())
    with pytest.raises(UsageError, match=r"pets\.bin, which belongs to it, is missing"):
        checkpoint.read_header(tmp_path / "pets.xml")
    swapped = bytearray((exports / "pets.bin").read_bytes())
    swapped[100] ^= 1
    (tmp_path / "pets.bin").write_bytes(swapped)
    with pytest.raises(UsageError, match=r"pets\.xml: the file pets\.bin does not belong to it"):
        Predictor(str(tmp_path / "pets.xml"))


def test_models_of_others_have_no_header(exports: Path, tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "other.pt"))
    (tmp_path / "other.xml").write_text("<net/>")
    (tmp_path / "other.bin").write_bytes(b"")
    for name in ("other.pt", "other.xml"):
        with pytest.raises(UsageError, match="no vidclf header"):
            checkpoint.read_header(tmp_path / name)


def test_a_torchscript_archive_that_holds_no_code_is_told(exports: Path, tmp_path: Path) -> None:
    header = json.dumps(checkpoint.read_header(exports / "pets.safetensors"))
    with zipfile.ZipFile(tmp_path / "empty.pt", "w") as archive:
        archive.writestr("empty/extra/vidclf", header)
    with pytest.raises(UsageError, match=r"empty\.pt: damaged"):
        Predictor(str(tmp_path / "empty.pt"), device="cpu")
