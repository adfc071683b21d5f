"""How fast a run is: its rates over the last few seconds, for the page and the progress."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

FRESH = 0.5  # seconds for which one snapshot of the statistics serves everyone who asks
WINDOW = 5.0  # seconds that the rates cover

Stats = dict[str, Any]


class Rates:
    """Takes snapshots of a pipeline's `stats()`, and computes the rates between two of them.

    stats: `Pipeline.stats`. Nothing is computed unless somebody asks.
    """

    def __init__(self, stats: Callable[[], Stats]) -> None:
        self._stats = stats
        self._snapshots: deque[tuple[float, Stats]] = deque()

    def now(self) -> tuple[Stats, dict[str, Any]]:
        """The statistics, at most half a second old, and the current rates.

        The rates cover the last `seconds`: five if somebody asks that often, otherwise the time since the last call, or
        since the start: fps, bottleneck, stages (name, fps, busy as a share of the time, queue) and the finished frames
        per second of each source.
        """
        now = time.monotonic()
        if not self._snapshots or now - self._snapshots[-1][0] >= FRESH:
            self._snapshots.append((now, self._stats()))
            while len(self._snapshots) > 2 and now - self._snapshots[1][0] >= WINDOW:
                self._snapshots.popleft()
        at, stats = self._snapshots[-1]
        if len(self._snapshots) == 1:
            return stats, _between({}, stats, stats["wall_s"])
        began, before = self._snapshots[0]
        return stats, _between(before, stats, at - began)


def _between(before: Stats, after: Stats, seconds: float) -> dict[str, Any]:
    def rate(new: float, old: float) -> float:
        return round(max(0.0, new - old) / seconds, 3) if seconds > 0 else 0.0

    old = before.get("stages") or [{}] * len(after["stages"])
    stages = [
        {
            "name": row["name"],
            "fps": rate(row["out"], past.get("out", 0)),
            "busy": min(1.0, rate(row["busy_s"], past.get("busy_s", 0))),
            "queue": row["queue"],
        }
        for row, past in zip(after["stages"], old, strict=False)
    ]
    ledgers = before.get("sources", {})
    sources = {
        name: rate(entry["finished"], ledgers.get(name, {}).get("finished", 0))
        for name, entry in after.get("sources", {}).items()
    }
    return {
        "seconds": round(seconds, 1),
        "fps": rate(after["ledger"]["finished"], before.get("ledger", {}).get("finished", 0)),
        "bottleneck": max(stages, key=lambda row: row["busy"])["name"] if stages else "",
        "stages": stages,
        "sources": sources,
    }
