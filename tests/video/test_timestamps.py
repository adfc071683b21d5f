from __future__ import annotations

import pytest

from vidclf.video.timestamps import Timestamps


@pytest.mark.parametrize(
    ("read", "repaired"),
    [
        pytest.param([0, 10, 20, 30], [0, 10, 20, 30], id="good ones stay"),
        pytest.param([0, 10, 25, 90, 91], [0, 10, 25, 90, 91], id="variable rate stays"),
        pytest.param([5, 15], [5, 15], id="the first may be anything"),
        pytest.param([None, None, None], [0, 10, 20], id="none at all"),
        pytest.param([0, None, 20, None, 40], [0, 10, 20, 30, 40], id="some are missing"),
        pytest.param([0, None, None, 12], [0, 10, 20, 21], id="a missing one guessed too late"),
        pytest.param([0, 10, 10, 20], [0, 10, 11, 20], id="twice the same"),
        pytest.param([0, 10, 4, 20, 30], [0, 10, 11, 20, 30], id="one slightly back"),
        pytest.param([100, 110, 0, 120, 130], [100, 110, 120, 121, 130], id="one far back"),
        pytest.param([100, 110, 0, 10, 20, 35], [100, 110, 120, 130, 140, 155], id="a clock set back"),
        pytest.param([100, 110, 0, 0, 10, 20], [100, 110, 120, 130, 140, 150], id="a clock set back, stammering"),
    ],
)
def test_repair(read: list[int | None], repaired: list[int]) -> None:
    timestamps = Timestamps(step=10)
    assert [timestamps.repair(pts) for pts in read] == repaired
