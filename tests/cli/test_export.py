"""`vidclf export`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.idx import write_bars
from vidclf.cli import export as command
from vidclf.cli.main import cli
from vidclf.errors import UsageError, VidclfError
from vidclf.models import checkpoint
from vidclf.stages import Classify, Crop


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words)], standalone_mode=False)


def test_openvino_is_two_files_that_run_as_weights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.xml"
    result = run("lean", "--format", "openvino", "-o", path, "--json", tmp_path / "figures.json")
    assert result.exception is None, result.output
    assert sorted(p.name for p in path.parent.iterdir()) == ["mine.bin", "mine.xml"]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["random"]["crops"] == figures["random"]["same"] == 1024
    assert figures["random"]["max_difference"] <= 1e-3
    assert figures["crops_per_s_1"]["exported"] > 0 < figures["crops_per_s_64"]["torch"]
    for words in (
        "in openvino f32 1,024 of 1,024 random crops",
        "batch 64: openvino f32",
        f"wrote {path} and {path.with_suffix('.bin')}",
    ):
        assert words in result.output
    assert Crop(like=str(path)).policy == checkpoint.read_preprocess("lean")
    assert Classify(str(path)).weights == str(path)


@pytest.mark.parametrize("installed", [True, False])
def test_onnx_is_compared_in_its_own_runtime_where_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    monkeypatch.setattr("vidclf.models.backends.is_installed", lambda name: installed or name != "onnx")
    result = run("lean-small", "--format", "onnx", "-o", tmp_path / "mine.onnx", "--json", tmp_path / "figures.json")
    assert result.exception is None, result.output
    runtime = json.loads((tmp_path / "figures.json").read_text())["runtime"]
    assert runtime.startswith("onnx" if installed else "openvino")
    assert f"in {runtime} 1,024 of 1,024 random crops have the same label" in result.output


def test_other_pictures_in_fashion_mnists_files_are_compared_on_unverified(tmp_path: Path) -> None:
    pictures = write_bars(tmp_path / "bars")
    words = ("lean", "--format", "openvino", "-o", tmp_path / "mine.xml", "--data", pictures)
    assert "--no-verify" in str(run(*words).exception)
    result = run(*words, "--no-verify")
    assert result.exception is None, result.output
    assert "50 of 50 test pictures" in result.output


def test_nothing_is_overwritten_unasked_not_even_the_other_half(tmp_path: Path) -> None:
    (tmp_path / "lean.bin").write_bytes(b"mine")
    result = run("lean", "--format", "openvino", "-o", tmp_path / "lean.xml")
    assert isinstance(result.exception, UsageError)
    assert "lean.bin exists; --force" in str(result.exception)
    assert (tmp_path / "lean.bin").read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["lean.bin"]


def test_a_network_that_does_not_agree_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidclf.models.runners import TorchRunner

    works = TorchRunner.__call__
    wrong = {"torch f32 on cpu": 0}

    def lies(self: TorchRunner, crops: np.ndarray) -> np.ndarray:
        wrong[self.name] += 1
        return works(self, crops) + (np.arange(10) if wrong[self.name] > 4 else 0)  # the second network, not the first

    monkeypatch.setattr(TorchRunner, "__call__", lies)
    result = run("lean", "--format", "torchscript", "-o", tmp_path / "lean.pt")
    assert isinstance(result.exception, VidclfError)
    assert "does not match the original: on 1024 random crops probabilities differ by up to" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch", "--format", "onnx"], "weights 'nosuch' not found"),
        (["lean", "--format", "onnx", "-o", "lean.xml"], r"a file for onnx must be called NAME\.onnx, got lean\.xml"),
        (["lean", "--format", "onnx", "-o", "file/lean.onnx"], "cannot write file"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    result = run(*words)
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=message):
        raise result.exception
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.models.exporting.find_spec", lambda name: None)
    result = run("lean", "--format", "onnx", "-o", tmp_path / "lean.onnx")
    assert str(result.exception) == "export to onnx needs onnx, onnxscript: pip install onnx onnxscript"


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_on_real_pictures_the_shipped_weights_agree(shared: Path, tmp_path: Path, kind: str) -> None:
    """Every fifth of Fashion-MNIST's test pictures; the whole set agrees alike, as the command says with --data."""
    from vidclf.models.exporting import export
    from vidclf.models.predictor import Predictor
    from vidclf.training import data

    path = tmp_path / f"lean{command.SUFFIXES[kind][0]}"
    export(checkpoint.load("lean"), checkpoint.read_header("lean"), kind, path)
    crops = data.load(shared, "test", checkpoint.read_preprocess("lean")).images.numpy()[::5]
    wanted, found = (
        Predictor(str(w), device="cpu", precision="f32", backend=b) for w, b in (("lean", "torch"), (path, "auto"))
    )
    for start in range(0, len(crops), 500):
        one, other = wanted.run(crops[start : start + 500]), found.run(crops[start : start + 500])
        assert np.abs(one - other).max() <= 1e-3
        assert (one.argmax(1) == other.argmax(1)).all()
