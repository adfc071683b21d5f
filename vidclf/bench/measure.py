"""Measures the cost of work, and compares several fairly: interleaved, with the spread."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one run: wall seconds, CPU seconds of all cores together, and the number of frames (or crops)."""

    wall: float
    cpu: float
    count: int

    @property
    def speed(self) -> float:
        """Frames (or crops) per second."""
        return self.count / self.wall if self.wall else 0.0


def cost_of(work: Callable[[], int]) -> Cost:
    """Run `work`, which returns its number of frames, once."""
    gc.collect()  # the garbage of others must not count
    wall, cpu = perf_counter(), process_time()
    count = work()
    return Cost(perf_counter() - wall, process_time() - cpu, count)


def by_turns(
    rounds: Mapping[str, Callable[[], Cost]], repeat: int, tell: Callable[[str], None]
) -> dict[str, list[Cost]]:
    """Measure everything `repeat` times, in turns, so that a slowdown of the machine affects all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in rounds}
    for n in range(repeat):
        for name, measure in rounds.items():
            costs[name].append(cost := measure())
            tell(f"round {n + 1} of {repeat}: {name}: {cost.speed:.1f}/s")
    return costs


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(costs: Sequence[Cost]) -> dict[str, Any]:
    """Speed and CPU time in the format of the JSON."""
    return {
        "count": costs[0].count,
        "wall_s": spread([cost.wall for cost in costs]),
        "fps": spread([cost.speed for cost in costs]),
        "cpu_ms": spread([1000 * cost.cpu / max(1, cost.count) for cost in costs]),  # per frame, of all cores together
    }


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost]) -> dict[str, float]:
    """How many times as fast `ours` is, from the ratio within each round."""
    return spread([a.speed / b.speed for a, b in zip(ours, theirs, strict=True)])
