"""The networks themselves: in how many bits they compute."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.conftest import OPTIONS, pictures
from vidclf.models import networks
from vidclf.models.detection import open_detector


def test_a_detector_without_yolos_head_stays_in_32_bits_and_says_so(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(networks, "keep_boxes_exact", lambda _: False)
    assert open_detector(weights, "cpu", "torch", "auto", 160).name == "torch f32 on cpu"
    assert caplog.records == []
    assert open_detector(weights, "cpu", "torch", "bf16", 160).name == "torch f32 on cpu"
    assert "runs in f32" in caplog.text


def test_boxes_are_measured_in_32_bits_whatever_the_rest_is(weights: str) -> None:
    """With all of it in bfloat16 the corners are up to pixels off, as numbers beyond 256 are even ones only."""
    options = OPTIONS | {"classes": None, "max_det": 20, "conf": 0.1}
    images = pictures(2, 640, 480)
    exact, fast = (open_detector(weights, "cpu", "torch", precision, 640) for precision in ("f32", "bf16"))
    assert (exact.name, fast.name) == ("torch f32 on cpu", "torch bf16 on cpu")
    outputs = [network(np.stack(images))[0] for network in (exact._torch[0], fast._torch[0])]
    outputs = [(output[0] if isinstance(output, tuple) else output)[:, :4] for output in outputs]
    assert outputs[1].dtype == outputs[0].dtype
    assert float((outputs[0] - outputs[1]).abs().max()) < 0.5
    assert all(len(result) for result in fast.start(images, **options)())
