from __future__ import annotations

import pytest

from vidclf.frame import Box, Placement


@pytest.mark.parametrize(
    ("size", "area", "box", "expected"),
    [
        ((1280, 720), (0, 0, 320, 180), (10, 20, 30, 60), (40, 80, 120, 240)),
        ((1280, 720), (0, 30, 320, 210), (10, 50, 30, 90), (40, 80, 120, 240)),  # letterboxed
        ((1280, 720), (0, 30, 320, 210), (10, 0, 30, 240), (40, 0, 120, 720)),  # over both edges
        ((1280, 720), (0, 30, 320, 210), (300, 0, 320, 9), (1200, 0, 1280, 1)),  # on the black alone
        ((1280, 720), (0, 30, 320, 210), (0, 230, 20, 240), (0, 719, 80, 720)),
        ((16, 9), (0, 0, 160, 90), (21, 21, 23, 23), (2, 2, 3, 3)),  # less than a pixel of the source
        ((1000, 500), (0, 0, 333, 167), (1, 1, 333, 167), (3, 3, 1000, 500)),
    ],
)
def test_a_box_becomes_one_of_the_sources_picture(size: tuple[int, int], area: Box, box: Box, expected: Box) -> None:
    assert Placement(size, area).to_source(box) == expected
