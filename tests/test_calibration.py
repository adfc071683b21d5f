"""Confidence against accuracy."""

import pytest

from vidclf.calibration import calibration_error, reliability


def test_a_case_counted_by_hand() -> None:
    # Bin 0.93-1: 0.95 sure and half right, so 0.45 off, for half of the boxes; bin 0.6: 0.62 sure and all right.
    confidence, correct = [0.95, 0.95, 0.62, 0.62], [True, False, True, True]
    assert reliability(confidence, correct) == [(pytest.approx(0.62), 1.0, 2), (pytest.approx(0.95), 0.5, 2)]
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.45 + 0.5 * 0.38)


def test_the_error_of_simple_cases() -> None:
    assert calibration_error([], []) is None
    assert calibration_error([0.9] * 10, [True] * 9 + [False]) == pytest.approx(0)
    assert calibration_error([1.0, 0.0], [True, False]) == 0
    # Too sure in one bin and not sure enough in another do not make up for each other.
    assert calibration_error([0.9, 0.3], [False, True]) == pytest.approx((0.9 + 0.7) / 2)
