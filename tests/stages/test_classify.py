from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame
from vidclf.models import create, load, save
from vidclf.models.backends import Backend
from vidclf.models.classifier import to_tensor
from vidclf.preprocess import Preprocess
from vidclf.stages import Classify, Crop


def with_crops(counts: list[int], policy: Preprocess | None = None) -> list[Frame]:
    """Frames with so many detections each, all with crops of noise."""
    policy = policy or Preprocess()
    dice = np.random.default_rng(0)
    frames = list(make_frames(len(counts), make_source(size=(64, 64))))
    for frame, count in zip(frames, counts, strict=True):
        shape = (policy.size, policy.size) if policy.channels == 1 else (policy.size, policy.size, policy.channels)
        frame.detections = [
            Detection((0, 0, 8, 8), crop=dice.integers(0, 255, shape, np.uint8), preprocess=policy)
            for _ in range(count)
        ]
    return frames


def run(stage: Classify, frames: list[Frame]) -> list[Detection]:
    return [d for frame in stage(Channel.of(frames)) for d in frame.detections]


@pytest.mark.parametrize("backend", ["torch", "openvino"])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_changes_nothing_but_the_speed(batch: int, backend: Backend) -> None:
    counts = [2, 0, 5, 1, 7]
    detections = run(Classify(batch=batch, device="cpu", backend=backend, precision="f32"), with_crops(counts))
    model = load("lean")
    expected = model.probabilities(to_tensor([d.crop for d in detections if d.crop is not None])).numpy()
    assert len(detections) == sum(counts)
    for d, row in zip(detections, expected, strict=True):
        assert d.probabilities is not None
        assert np.allclose(d.probabilities, row, atol=1e-4)
        assert d.label == model.labels[int(row.argmax())]
        assert d.label_score == pytest.approx(float(row.max()), abs=1e-4)
        assert d.inference > 0


def test_the_ranking_is_sorted_and_as_long_as_asked_for() -> None:
    for d in run(Classify(top=4, device="cpu"), with_crops([3])):
        scores = [score for _, score in d.ranked]
        assert len(scores) == 4
        assert scores == sorted(scores, reverse=True)
        assert d.ranked[0] == (d.label, d.label_score)


def test_below_the_threshold_it_abstains_but_says_how_sure_it_was() -> None:
    named = run(Classify(device="cpu"), with_crops([20]))
    limit = float(np.median([d.label_score for d in named]))
    for before, d in zip(named, run(Classify(abstain=limit, device="cpu"), with_crops([20])), strict=True):
        assert d.label_score == pytest.approx(before.label_score)
        assert d.label == (before.label if before.label_score >= limit else "")


@pytest.mark.parametrize("has_crop", [False, True])
def test_detections_without_a_crop_pass_unnamed_with_a_warning_if_none_has_one(
    has_crop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    frames = with_crops([0, 1 if has_crop else 0])
    frames[0].detections = [Detection((0, 0, 4, 4))]
    with caplog.at_level(logging.WARNING, "vidclf"):
        d = run(Classify(device="cpu"), frames)[0]
    assert (d.label, d.probabilities) == ("", None)
    told = "classify had nothing to do: no detection has a crop; put crop before it"
    assert caplog.messages == ([] if has_crop else [told])


def test_without_detections_no_crop_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidclf"):
        run(Classify(device="cpu"), with_crops([0, 0]))
    assert caplog.messages == []


@pytest.fixture
def colour_weights(tmp_path: Path) -> str:
    """Weights of a network that wants 64x64 in colour."""
    policy = Preprocess(size=64, channels=3)
    path = tmp_path / "colour.safetensors"
    save(path, create("lean", ["hat", "coat"], policy))
    return str(path)


def test_weights_of_ones_own_classes_and_format(colour_weights: str) -> None:
    stage = Crop(like=colour_weights)
    frames = list(make_frames(1, make_source(size=(80, 80))))
    frames[0].detections = [Detection((10, 10, 60, 70))]
    (d,) = run(Classify(colour_weights, device="cpu"), list(stage(frames)))
    assert d.crop is not None
    assert d.crop.shape == (64, 64, 3)
    assert d.label in ("hat", "coat")


def test_crops_made_for_another_network_are_refused(colour_weights: str) -> None:
    with pytest.raises(UsageError, match=r"needs crops of 64x64 with 3 channel.*got 28x28 with 1.*crop.like="):
        run(Classify(colour_weights, device="cpu"), with_crops([1]))


def test_another_aspect_policy_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidclf"):
        run(Classify(batch=2, device="cpu"), with_crops([3, 3], Preprocess(aspect="squash")))
    assert [record.getMessage() for record in caplog.records] == [
        "lean was trained on crops made by letterbox, but these are made by squash"
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"weights": "nosuch"}, "nosuch"),
        ({"batch": 0}, "batch must be"),
        ({"top": 0}, "top must be"),
        ({"abstain": 1.1}, "abstain must be"),
        ({"device": "gpu"}, "device must be"),
    ],
)
def test_options_are_checked_before_anything_runs(option: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Classify(**option)


def test_crop_options_override_the_checkpoint(colour_weights: str) -> None:
    policy = Crop(like=colour_weights, polarity="auto", padding=0.1).policy
    assert policy == Preprocess(size=64, channels=3, polarity="auto", padding=0.1)
    with pytest.raises(UsageError, match="not found"):
        Crop(like="nosuch")
