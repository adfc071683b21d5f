from pathlib import Path

import pytest

from vidclf.errors import UsageError
from vidclf.models import backends
from vidclf.models.backends import check_backend, check_precision, choose_backend, choose_precision, runs_on_cuda


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The backends that are there; a test may change them."""
    there = {"torch", "openvino", "onnx", "tensorrt"}
    monkeypatch.setattr(backends, "is_installed", there.__contains__)
    return there


@pytest.mark.parametrize(
    ("file", "device", "missing", "expected"),
    [
        ("a.safetensors", "cpu", set(), "openvino"),
        ("a.safetensors", "cpu", {"openvino"}, "torch"),
        ("a.safetensors", "cuda:1", set(), "torch"),
        ("a.xml", "cpu", set(), "openvino"),
        ("a.onnx", "cpu", set(), "openvino"),
        ("a.onnx", "cpu", {"openvino"}, "onnx"),
        ("a.onnx", "cuda", set(), "onnx"),
        ("a.pt", "cpu", set(), "torch"),
    ],
)
def test_auto_takes_the_fastest_that_is_there(
    installed: set[str], file: str, device: str, missing: set[str], expected: str
) -> None:
    installed -= missing
    assert check_backend("auto", Path(file)) == "auto"
    assert choose_backend("auto", device, Path(file)) == expected


@pytest.mark.parametrize(
    ("backend", "file", "message"),
    [
        ("caffe", "a.safetensors", r"backend must be one of auto, torch, openvino, onnx, tensorrt, got 'caffe'"),
        ("torch", "a.onnx", r"a.onnx cannot run on torch; it runs on openvino, onnx, tensorrt"),
        ("openvino", "a.pt", r"a.pt cannot run on openvino; it runs on torch"),
        (
            "tensorrt",
            "a.onnx",
            r'backend tensorrt needs tensorrt, which is not installed: pip install "tensorrt<11" onnx onnxscript onnx',
        ),
        ("auto", "a.xml", r"a.xml needs openvino: pip install openvino"),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(
    installed: set[str], backend: str, file: str, message: str
) -> None:
    installed.remove("tensorrt")
    if file == "a.xml":
        installed.remove("openvino")
    with pytest.raises(UsageError, match=message):
        check_backend(backend, Path(file))


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("openvino", "cuda", "backend openvino runs on the CPU, not on cuda; add --device cpu"),
        ("tensorrt", "cpu", "backend tensorrt needs a CUDA device, not the CPU"),
        ("auto", "cuda", "a.xml runs on the CPU only; add --device cpu"),
    ],
)
def test_a_backend_and_a_device_that_do_not_go_together(backend: str, device: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_backend(backend, device, Path("a.xml"))


@pytest.mark.parametrize(
    ("file", "providers", "expected"),
    [
        ("a.safetensors", ["CPU"], True),
        ("a.pt", ["CPU"], True),
        ("a.xml", ["CUDA", "CPU"], False),
        ("a.onnx", ["CPU"], False),
        ("a.onnx", ["CUDA", "CPU"], True),
    ],
)
def test_whether_a_file_can_run_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], file: str, providers: list[str], expected: bool
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    there = [f"{name}ExecutionProvider" for name in providers]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    assert runs_on_cuda(Path(file)) is expected


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.models.openvino_runtime.openvino_precisions", lambda: ["f32", "bf16"])
    assert choose_precision("auto", "torch", "cpu", exported=False) == "f32"
    assert choose_precision("auto", "torch", "cuda:0", exported=False) == "f16"
    assert choose_precision("auto", "openvino", "cpu", exported=True) == "f32"
    assert choose_precision("auto", "openvino", "cpu", exported=False) in ("f32", "bf16")
    assert choose_precision("bf16", "openvino", "cpu", exported=True) == "bf16"
    assert choose_precision("auto", "onnx", "cuda", exported=False) == "f32"
    assert choose_precision("auto", "tensorrt", "cuda", exported=False) == "f16"
    assert choose_precision("f32", "tensorrt", "cuda", exported=False) == "f32"
    with pytest.raises(UsageError, match="precision must be one of auto, f32, f16, bf16, got 'f8'"):
        check_precision("f8")


@pytest.mark.parametrize(
    ("precision", "backend", "exported", "words"),
    [
        ("f16", "onnx", False, "precision f16: onnx has only f32 on this machine"),
        ("bf16", "tensorrt", False, "precision bf16: tensorrt has only f32 and f16 on this machine"),
        ("f16", "openvino", False, "precision f16: openvino has only f32 and bf16 on this machine"),
        ("bf16", "torch", True, "precision bf16: an exported file has only f32 on this machine"),
    ],
)
def test_a_precision_that_a_backend_lacks_is_not_silently_another(
    monkeypatch: pytest.MonkeyPatch, precision: str, backend: str, exported: bool, words: str
) -> None:
    monkeypatch.setattr("vidclf.models.openvino_runtime.openvino_precisions", lambda: ["f32", "bf16"])
    with pytest.raises(UsageError) as raised:
        choose_precision(precision, backend, "cuda", exported)
    assert str(raised.value) == words
