"""What a network's runtime promises: here, that an answer stays as it is when the next one is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vidclf.models import create, save
from vidclf.models.checkpoint import read_header
from vidclf.models.device import on_stream
from vidclf.models.exporting import export
from vidclf.models.predictor import patterns
from vidclf.models.runners import OnnxRunner, OpenVinoRunner, TorchRunner


@pytest.mark.parametrize("count", [1, 4])
def test_the_next_pass_does_not_overwrite_the_results_of_the_one_before(tmp_path: Path, count: int) -> None:
    """The runner relies on OpenVINO for this, and makes no copy of its own."""
    model = create("v1", ["cat", "dog"]).eval()
    header = read_header(save(tmp_path / "pets.safetensors", model))
    export(model, header, "openvino", tmp_path / "pets.xml")
    run = OpenVinoRunner(tmp_path / "pets.xml", "f32")
    crops = patterns(model.preprocess, count)
    first = run(crops)
    before = first.copy()
    second = run(255 - crops)
    assert first.flags.owndata
    assert np.array_equal(first, before)
    assert not np.array_equal(first, second)  # they were different questions


@pytest.mark.parametrize(("precision", "in_16_bits"), [("f16", True), ("f32", False)])
def test_tensorrt_computes_in_the_precision_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: str, in_16_bits: bool
) -> None:
    """It always computed in 16 bits."""
    onnxruntime = pytest.importorskip("onnxruntime")
    asked: list[Any] = []

    def session(*_: object, providers: list[Any], **__: object) -> SimpleNamespace:
        asked.extend(providers)
        return SimpleNamespace(get_providers=lambda: [name], get_inputs=lambda: [SimpleNamespace(name="crops")])

    name = "TensorrtExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    assert OnnxRunner(Path("lean.onnx"), "cuda:1", precision, tensorrt=True).name == f"tensorrt {precision} on cuda:1"
    assert asked[0] == (name, {"device_id": 1, "trt_fp16_enable": in_16_bits})


def test_on_the_cpu_torch_does_not_touch_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.cuda.stream(None)` starts CUDA, which takes seconds, and memory of a GPU that others may be using."""
    import torch

    def start(stream: object) -> str:
        assert stream is not None
        return "began"

    monkeypatch.setattr(torch.cuda, "stream", start)
    assert on_stream("a stream") == "began"
    model = create("v1", ["cat", "dog"]).eval()
    run = TorchRunner(save(tmp_path / "pets.safetensors", model), "cpu", "f32")
    assert run(patterns(model.preprocess, 2)).shape == (2, 2)
