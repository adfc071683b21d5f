from __future__ import annotations

from fractions import Fraction

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
        pytest.param([0, 10, 999, 30, 40], [0, 10, 20, 30, 40], id="one far ahead"),
        pytest.param([0, 10, 999, 13, 20], [0, 10, 20, 21, 22], id="one far ahead of a short step"),
        pytest.param([0, 10, 999, 500, 40], [0, 10, 20, 30, 40], id="two far ahead that do not belong together"),
        pytest.param([0, 10, 999, 1009, 1019], [0, 10, 999, 1009, 1019], id="a clock set ahead"),
        pytest.param([0, 10, 999, 998, 1019], [0, 10, 999, 1000, 1019], id="a clock set ahead, with jitter"),
        pytest.param([0, 10, 999, None, 1019], [0, 10, 999, 1009, 1019], id="far ahead, and then a missing one"),
        pytest.param([0, 200, 400, 999], [0, 200, 400, 999], id="a slow rate stays"),
        pytest.param([100, 110, 0, 10, 999, 30, 40], [100, 110, 120, 130, 140, 150, 160], id="set back, then ahead"),
    ],
)
def test_repair(read: list[int | None], repaired: list[int]) -> None:
    timestamps: Timestamps[int] = Timestamps(step=10, time_base=Fraction(1, 10))
    given = [shot for number, pts in enumerate(read) for shot in timestamps.add(number, pts)]
    assert [*given, *timestamps.rest()] == list(enumerate(repaired))
    assert timestamps.rest() == []


def test_only_what_jumps_is_held_back() -> None:
    timestamps: Timestamps[str] = Timestamps(step=1, time_base=Fraction(1, 10))
    assert timestamps.add("a", 500) == [("a", 500)]
    assert timestamps.add("b", 600) == [("b", 600)]  # ten seconds
    assert timestamps.add("c", 701) == []
    assert timestamps.add("d", 702) == [("c", 701), ("d", 702)]
