"""One classifier in every runtime: the same answers, and a way back when one of them goes wrong."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.conftest import COLOUR
from vidclf.errors import UsageError, VidclfError
from vidclf.models import create, load, predictor, save
from vidclf.models.onnx_runtime import ProviderError
from vidclf.models.predictor import Predictor, patterns
from vidclf.preprocess import Preprocess


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def expected(exports: Path, crops: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return load(exports / "pets.safetensors").probabilities(torch.from_numpy(crops)).numpy()


@pytest.mark.parametrize(
    ("suffix", "backend", "name"),
    [
        (".safetensors", "torch", "torch f32 on cpu"),
        (".safetensors", "openvino", "openvino f32"),
        (".safetensors", "onnx", "onnx on cpu"),
        (".onnx", "onnx", "onnx on cpu"),
        (".onnx", "openvino", "openvino f32"),
        (".xml", "auto", "openvino f32"),
        (".pt", "auto", "torch f32 on cpu"),
    ],
)
def test_every_runtime_gives_what_torch_gives_for_any_batch(
    exports: Path, suffix: str, backend: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "vidclf"):
        runner = Predictor(str(exports / f"pets{suffix}"), backend, "cpu", "f32")
    assert runner.name == name
    assert runner.labels == ("cat", "dog", "größer")
    for count in (1, 2, 64, 3):
        crops = patterns(COLOUR, count)
        found = runner.run(crops)
        assert found.dtype == np.float32
        assert np.abs(found - expected(exports, crops)).max() < 1e-5
    pictures = list(patterns(COLOUR, 2).transpose(0, 2, 3, 1))
    assert np.array_equal(runner(pictures), runner.run(patterns(COLOUR, 2)))
    assert caplog.records == []


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_beside_a_gpu_auto_takes_the_cpu_for_a_file_that_runs_nowhere_else(
    exports: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused, although ONNX Runtime is installed for the CPU only."""
    monkeypatch.setattr(predictor, "choose_devices", lambda _: ["cuda"])
    weights = str(exports / f"pets{suffix}")
    assert Predictor(weights, device="auto").name == "openvino f32"
    assert Predictor(weights, "openvino", "auto").name == "openvino f32"
    with pytest.raises(UsageError, match=r"ONNX Runtime has no CUDAExecutionProvider here|runs on the CPU only"):
        Predictor(weights, device="cuda")


@pytest.mark.parametrize(("suffix", "backend"), [(".safetensors", "onnx"), (".pt", "torch")])
def test_a_precision_that_is_not_there_is_no_reason_to_fall_back(exports: Path, suffix: str, backend: str) -> None:
    with pytest.raises(UsageError, match=r"precision f16: .* has only f32 on this machine"):
        Predictor(str(exports / f"pets{suffix}"), backend, "cpu", "f16")


@pytest.mark.parametrize("precision", ["f16", "bf16"])
def test_torch_in_16_bits(precision: str) -> None:
    """What a GPU does by itself: every crop raised, as the network had 16 bits and its input 32."""
    runner, exact = (Predictor("lean", "torch", "cpu", name) for name in (precision, "f32"))
    assert runner.name == f"torch {precision} on cpu"
    crops = patterns(exact.preprocess, 64)
    assert 0 < np.abs(runner.run(crops) - exact.run(crops)).max() < 0.1


def test_a_network_is_converted_once_and_not_with_other_content(exports: Path, empty_cache: Path) -> None:
    weights = str(exports / "pets.safetensors")
    Predictor(weights, "openvino", "cpu")
    (made,) = (empty_cache / "models").iterdir()
    before = (made / "network.xml").stat().st_mtime_ns
    Predictor(weights, "openvino", "cpu")
    assert [path.name for path in (empty_cache / "models").iterdir()] == [made.name]
    assert (made / "network.xml").stat().st_mtime_ns == before


def one_warning(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    return record.getMessage()


def falls_back(exports: Path, caplog: pytest.LogCaptureFixture) -> str:
    """The one warning with which torch takes over; its answers are right."""
    with caplog.at_level(logging.WARNING, "vidclf"):
        runner = Predictor(str(exports / "pets.safetensors"), "openvino", "cpu")
        crops = patterns(COLOUR, 4)
        for _ in range(2):
            assert np.abs(runner.run(crops) - expected(exports, crops)).max() < 1e-6
    assert runner.on_torch
    return one_warning(caplog)


def test_a_runtime_that_disagrees_is_not_used(
    exports: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(predictor.OpenVinoRunner, "__call__", lambda *_: np.eye(64, 3, dtype=np.float32))
    assert (
        "pets.safetensors does not run on openvino, using torch instead: its probabilities differ from torch's by"
        in (falls_back(exports, caplog))
    )


def test_a_runtime_that_gives_nonsense_is_not_used(
    exports: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(predictor.OpenVinoRunner, "__call__", lambda *_: np.full((64, 3), np.nan, np.float32))
    assert "differ from torch's by nan" in falls_back(exports, caplog)


def test_a_package_that_is_missing_for_the_export_is_named(
    exports: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason was "No package metadata was found"."""
    monkeypatch.setattr(predictor, "find_spec", lambda name: None if name == "onnx" else find_spec(name))
    Predictor(str(exports / "pets.safetensors"), "onnx", "cpu")
    assert "using torch instead: its export needs onnx, which is not installed: pip install onnx" in caplog.text


def test_a_provider_that_is_missing_does_not_cost_the_export(
    exports: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> None:
        raise ProviderError("no GPU")

    monkeypatch.setattr(Predictor, "_start", start)
    Predictor(str(exports / "pets.safetensors"), "onnx", "cpu")
    assert list(empty_cache.glob("models/pets-*/network.onnx"))


def test_a_runtime_that_fails_amid_the_frames_is_replaced(
    exports: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    works = predictor.OpenVinoRunner.__call__

    def fails(self: predictor.OpenVinoRunner, crops: np.ndarray) -> np.ndarray:
        if len(crops) == 4:
            raise RuntimeError("out of\nmemory")
        return works(self, crops)

    monkeypatch.setattr(predictor.OpenVinoRunner, "__call__", fails)
    assert falls_back(exports, caplog).endswith("using torch instead: out of memory")


def test_a_damaged_cache_costs_one_run_its_speed_and_is_made_anew(
    exports: Path, empty_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = str(exports / "pets.safetensors")
    Predictor(weights, "openvino", "cpu")
    (made,) = (empty_cache / "models").iterdir()
    (made / "network.bin").write_bytes(b"short")
    assert "the file network.bin does not belong to it" in falls_back(exports, caplog)
    assert not Predictor(weights, "openvino", "cpu").on_torch


@pytest.mark.parametrize("answers", [np.zeros((64, 3), np.float32), np.zeros((2, 2), np.float32)])
def test_a_cache_that_disagrees_is_made_anew(
    exports: Path, empty_cache: Path, caplog: pytest.LogCaptureFixture, answers: np.ndarray
) -> None:
    weights = str(exports / "pets.safetensors")
    Predictor(weights, "openvino", "cpu")
    (made,) = (empty_cache / "models").iterdir()
    np.save(made / "answers.npy", answers)
    assert "using torch instead" in falls_back(exports, caplog)
    assert not Predictor(weights, "openvino", "cpu").on_torch


@pytest.mark.parametrize(("name", "options"), [("backend", ("tflite",)), ("precision", ("torch", "cpu", "int8"))])
def test_what_there_is_not_is_an_error(exports: Path, name: str, options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"^{name} must be one of .*, got "):
        Predictor(str(exports / "pets.safetensors"), *options)


def test_values_too_large_for_16_bits_are_computed_in_32(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They ended the run, as if the weights were damaged, although f16 is nobody's choice but the GPU's default."""
    torch.manual_seed(0)
    model = create("v1")
    path = save(tmp_path / "small.safetensors", model)
    exact = Predictor(str(path), "torch", "cpu", "f32")
    first, second, *_ = (layer for layer in model.network.modules() if isinstance(layer, torch.nn.Conv2d))
    with torch.no_grad():  # the same network, with far larger values between these two
        first.weight.mul_(1e5)
        first.bias.mul_(1e5)
        second.weight.div_(1e5)
    runner = Predictor(str(save(tmp_path / "large.safetensors", model)), "torch", "cpu", "f16")
    crops = patterns(exact.preprocess, 4)
    with caplog.at_level(logging.WARNING, "vidclf"):
        for _ in range(2):
            assert np.abs(runner.run(crops) - exact.run(crops)).max() < 1e-3
    assert "large.safetensors has values that 16-bit floats cannot hold" in one_warning(caplog)
    assert runner.name == "torch f32 on cpu"


def test_a_cache_that_cannot_be_written_costs_the_speed_only(
    exports: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path / "file"))
    assert "using torch instead: [Errno " in falls_back(exports, caplog)


def test_no_conversion_is_reported_to_anybody_and_a_start_from_the_cache_needs_no_torch() -> None:
    code = (
        "import sys; from vidclf.models.predictor import Predictor; Predictor('lean', device='cpu'); "
        "print('torch' in sys.modules, sys.modules.get('openvino_telemetry'), 'openvino' in sys.modules)"
    )
    for made_before in (False, True):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(not made_before), "None", "True"]


def test_only_a_checkpoint_is_a_torch_module(exports: Path) -> None:
    with pytest.raises(UsageError, match=r"pets\.onnx: an exported classifier can only be run"):
        load(exports / "pets.onnx")


def test_the_shipped_weights_keep_their_names_in_fewer_bits() -> None:
    crops = patterns(Preprocess(), 256)
    exact, fast = Predictor("lean", "torch", "cpu", "f32").run(crops), Predictor("lean", device="cpu").run(crops)
    assert (exact.argmax(1) == fast.argmax(1)).mean() >= 0.97
    assert np.abs(exact - fast).max() < 0.1


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_probabilities_that_are_no_numbers_are_an_error_without_warnings_of_numpy(
    tmp_path: Path, backend: str, recwarn: pytest.WarningsRecorder
) -> None:
    """They were written to records, which then were no JSON."""
    model = create("v1")
    for parameter in model.parameters():
        parameter.data.fill_(torch.nan)
    path = save(tmp_path / "nan.safetensors", model)
    runner = Predictor(str(path), backend, "cpu", "f32")
    with pytest.raises(VidclfError) as raised:
        runner.run(patterns(Preprocess(), 2))
    assert str(raised.value) == f"{path}: its outputs on torch f32 on cpu are not finite; damaged weights?"
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_logits_too_large_for_a_float_give_no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    assert np.isnan(predictor.softmax(np.array([[3e38, 0]], np.float32), 1e-3)).any()
    assert not recwarn.list
