"""When a network in another runtime counts as the same as torch's."""

from __future__ import annotations

import numpy as np
import pytest

from vidclf.errors import UsageError
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.parity import check, pattern

ANCHORS = 525


def outputs(classes: int, nms_free: bool = False) -> tuple[np.ndarray, DetectorSpec]:
    """What a trained network finds in `pattern`: nothing, so nearly all of its scores are nearly 0."""
    random = np.random.default_rng(0)
    spec = DetectorSpec({number: str(number) for number in range(classes)}, 32, nms_free, False, False)
    if nms_free:
        return np.sort(random.random((1, 300, 6)).astype(np.float32), axis=1)[:, ::-1], spec
    scores = 1 / (1 + np.exp(random.normal(13, 2, (1, classes, ANCHORS))))
    return np.concatenate([random.random((1, 4, ANCHORS)) * 160, scores], axis=1).astype(np.float32), spec


@pytest.mark.parametrize("classes", [1, 2, 80])
def test_scores_near_0_may_be_as_inexact_as_onnx_runtimes(classes: int) -> None:
    """Its sigmoid is a multiple of 6e-8 there: a network of a few classes was refused."""
    wanted, spec = outputs(classes)
    found = wanted.copy()
    found[:, 4:] = np.round(found[:, 4:] / 6e-8) * 6e-8
    check(found, wanted, spec, "f32")


@pytest.mark.parametrize("classes", [1, 80])
def test_scores_that_differ_are_told(classes: int) -> None:
    wanted, spec = outputs(classes)
    found = wanted.copy()
    found[:, 4:] *= 1.5
    with pytest.raises(UsageError, match=r"its scores differ from torch's by 0\.\d+ \(logits, on average\)"):
        check(found, wanted, spec, "f32")
    check(found, wanted, spec, "bf16")  # its tolerance is larger
    found[:, 4:, 7] = np.nan
    with pytest.raises(UsageError, match="its scores differ from torch's by nan"):
        check(found, wanted, spec, "bf16")


def test_boxes_that_differ_are_told() -> None:
    wanted, spec = outputs(3)
    found = wanted.copy()
    found[:, :4] += 2
    with pytest.raises(UsageError, match="its boxes differ from torch's by 2 pixels"):
        check(found, wanted, spec, "f32")


def test_other_outputs_are_told() -> None:
    wanted, spec = outputs(3)
    with pytest.raises(UsageError, match=r"it gives \(1, 7, 524\) values, and torch gives \(1, 7, 525\)"):
        check(wanted[:, :, 1:], wanted, spec, "f32")


def test_of_boxes_that_the_network_has_chosen_the_scores_count() -> None:
    wanted, spec = outputs(3, nms_free=True)
    found = wanted.copy()
    found[:, :, :4] += 2  # of equal scores, others may have been chosen
    check(found, wanted, spec, "f32")
    found[:, :, 4] *= 0.9
    with pytest.raises(UsageError, match="its scores differ"):
        check(found, wanted, spec, "f32")


def test_the_pattern_has_a_size_that_every_network_takes() -> None:
    assert pattern(32).shape == (160, 160, 3)
    assert np.array_equal(pattern(32), pattern(32))
