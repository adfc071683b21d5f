"""The networks themselves: in how many bits they compute."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.conftest import SOME, pictures
from vidclf.models import networks
from vidclf.models.detector import open_detector


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
    images = pictures(2, 640, 480)
    exact, fast = (open_detector(weights, "cpu", "torch", precision, 640) for precision in ("f32", "bf16"))
    assert (exact.name, fast.name) == ("torch f32 on cpu", "torch bf16 on cpu")
    outputs = [network.start(np.stack(images))()[0][:, :4] for network in (exact._torch[0], fast._torch[0])]
    assert outputs[1].dtype == outputs[0].dtype
    assert np.abs(outputs[0] - outputs[1]).max() < 0.5
    assert all(len(found.boxes) for found in fast.start(images, SOME)())


def test_of_pictures_on_a_gpu_only_boxes_that_may_count_are_fetched(weights: str) -> None:
    detector = open_detector(weights, "cpu", "torch", "f32", 160)
    network, batch = detector._torch[0], np.stack(pictures(2, 160, 96))
    everything = network.start(batch)()[0]
    best = network.spec.scores_in(everything).max(axis=1)
    middle = float(np.median(best))
    some = network.start(batch, middle)()[0]
    assert 0 < some.shape[2] < everything.shape[2]
    assert np.array_equal(some, everything[:, :, (best > middle).any(axis=0)])
