"""Rates between two looks at the statistics."""

from __future__ import annotations

from typing import Any

import pytest

from vidclf import rates as module
from vidclf.rates import Rates


class Run:
    """A pipeline of 10 frames a second whose second stage works half of its time; `asked` counts looks at it."""

    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0

    def monotonic(self) -> float:
        return self.now

    def stats(self) -> dict[str, Any]:
        self.asked += 1
        wall = self.now - 100
        rows = [("capture", 0.1), ("classify", 0.5)]
        return {
            "wall_s": wall,
            "ledger": {"finished": 10 * wall},
            "sources": {"camera": {"finished": 10 * wall}},
            "stages": [{"name": name, "out": 10 * wall, "busy_s": share * wall, "queue": 3} for name, share in rows],
        }


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run()
    monkeypatch.setattr(module, "time", run)
    return run


def test_the_first_look_is_since_the_start(run: Run) -> None:
    run.now += 4
    _, now = Rates(run.stats).now()
    assert now["fps"] == 10
    assert now["bottleneck"] == "classify"
    assert now["sources"] == {"camera": 10}
    assert now["stages"][1] == {"name": "classify", "fps": 10, "busy": 0.5, "queue": 3}


def test_now_is_the_last_seconds_not_the_whole_run(run: Run) -> None:
    rates = Rates(run.stats)
    for _ in range(20):
        rates.now()
        run.now += 1
    frozen = run.stats()
    rates._stats = lambda: frozen  # nothing happens any more
    for _ in range(8):
        run.now += 1
        _, now = rates.now()
    assert now["fps"] == 0
    assert now["stages"][1]["busy"] == 0


def test_many_who_ask_cost_one_look(run: Run) -> None:
    rates = Rates(run.stats)
    for _ in range(100):
        rates.now()
        run.now += 0.004
    assert run.asked == 1
