"""The boxes that are selected are those that ultralytics selects."""

from __future__ import annotations

import numpy as np
import pytest

from vidclf.models.selection import Found, Selection, suppress


def outputs(count: int, classes: int, masks: int = 0) -> np.ndarray:
    """(4 + classes + masks, count) float32: crowds of boxes around a few places."""
    dice = np.random.default_rng(count)
    places = dice.uniform(50, 600, (2, 8))[:, dice.integers(0, 8, count)] + dice.normal(0, 6, (2, count))
    sizes = dice.uniform(30, 60, (2, count))
    scores = dice.uniform(0, 1, (classes, count)) ** 3
    return np.concatenate([places, sizes, scores, dice.normal(0, 1, (masks, count))]).astype(np.float32)


def by_ultralytics(output: np.ndarray, which: Selection, classes: int, end2end: bool = False) -> np.ndarray:
    import torch
    from ultralytics.utils.nms import non_max_suppression

    kinds = None if which.kinds is None else list(which.kinds)
    (rows,) = non_max_suppression(
        torch.from_numpy(output.copy())[None],
        which.confidence,
        which.iou,
        kinds,
        max_det=which.most,
        nc=classes,
        end2end=end2end,
    )
    return rows.numpy()


def rows_of(found: Found) -> np.ndarray:
    return np.concatenate([found.boxes, found.scores[:, None], found.kinds[:, None]], axis=1)


@pytest.mark.parametrize("count", [0, 1, 40, 3000])
@pytest.mark.parametrize(
    "which",
    [
        Selection(0.3, 0.7, None, 300),
        Selection(0.3, 0.45, [0, 2], 300),
        Selection(0.9, 0.1, [5], 300),
        Selection(0.0, 0.0, None, 20),
        Selection(0.2, 1.0, None, 50),
        Selection(1.0, 0.5, None, 50),
    ],
)
def test_the_boxes_are_those_of_ultralytics(count: int, which: Selection) -> None:
    output = outputs(count, 6)
    found = which.with_nms(output, 6)
    assert np.allclose(rows_of(found), by_ultralytics(output, which, 6), atol=1e-3)
    assert found.masks is None


def test_masks_are_sums_of_the_prototypes() -> None:
    import torch
    from ultralytics.utils.ops import process_mask

    which, output = Selection(0.3, 0.5, None, 10), outputs(200, 3, masks=4)
    prototypes = np.random.default_rng(1).normal(0, 1, (4, 160, 160)).astype(np.float32)
    found, wanted = which.with_nms(output, 3, prototypes), by_ultralytics(output, which, 3)
    assert found.masks is not None and found.masks.shape == (len(wanted), 160, 160)
    everywhere = torch.tensor([[0.0, 0, 640, 640]] * len(wanted))
    masks = process_mask(torch.from_numpy(prototypes), torch.from_numpy(wanted[:, 6:]), everywhere, (640, 640))
    assert np.array_equal(found.masks > 0, masks.numpy() > 0)


@pytest.mark.parametrize("kinds", [None, [1, 3]])
def test_boxes_that_the_network_has_chosen_are_only_filtered(kinds: list[int] | None) -> None:
    dice = np.random.default_rng(0)
    output = dice.uniform(0, 1, (300, 6)).astype(np.float32)
    output[:, 5] = dice.integers(0, 5, 300)
    which = Selection(0.4, 0.7, kinds, 50)
    assert np.array_equal(rows_of(which.without_nms(output)), by_ultralytics(output, which, 5, end2end=True))


def test_equal_boxes_of_two_classes_both_stay() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3, np.float32)
    assert suppress(boxes, np.array([0.5, 0.9, 0.8]), np.array([0, 1, 1]), 0.5, 9).tolist() == [1, 0]


def test_empty_boxes_end_nothing() -> None:
    boxes = np.array([[5, 5, 5, 5], [0, 0, 10, 10], [9, 9, 2, 2]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), 0.5, 9).tolist() == [0, 1, 2]
