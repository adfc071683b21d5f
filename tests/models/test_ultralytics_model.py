"""How an ultralytics model is converted; `stages/test_yolo.py` loads and downloads some."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.models.runners import openvino_core, openvino_settings
from vidclf.models.ultralytics_model import expected_distance, load_detector, to_openvino


def test_the_sum_that_stays_in_32_bits_is_the_mean_distance_of_ultralytics() -> None:
    import torch
    from ultralytics.nn.modules import DFL

    distances = torch.randn(2, 4 * 16, 21, generator=torch.Generator().manual_seed(0)) * 4
    dfl = DFL(16)
    assert torch.allclose(expected_distance(dfl, distances), dfl(distances), atol=1e-5)


def test_the_last_convolutions_of_the_boxes_stay_in_32_bits(weights: str, tmp_path: Path) -> None:
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("needs a CPU with bfloat16")
    to_openvino(load_detector(weights), tmp_path / "network.xml")
    compiled = core.compile_model(tmp_path / "network.xml", "CPU", openvino_settings("bf16", "detector"))
    details = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    exact = [
        found["originalLayersNames"].astype(str)
        for found in details
        if found["layerType"].astype(str) == "Convolution" and found["runtimePrecision"].astype(str) == "f32"
    ]
    assert len(exact) == 3
    assert all(f"cv2.{scale}.2/" in name for scale, name in enumerate(sorted(exact)))
