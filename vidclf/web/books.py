"""The statistics of a run for the page and the progress: since the start, and for the last few seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

FRESH = 0.5  # seconds for which one snapshot of the statistics serves all requests
WINDOW = 5.0  # seconds that "now" covers

Stats = dict[str, Any]


class Books:
    """Takes snapshots of a pipeline's `stats()`, and computes the rates between two of them.

    stats: `Pipeline.stats`. Nothing is computed without requests.
    """

    def __init__(self, stats: Callable[[], Stats]) -> None:
        self._stats = stats
        self._looks: deque[tuple[float, Stats]] = deque()

    def look(self) -> tuple[Stats, dict[str, Any]]:
        """The statistics, at most half a second old, and the current rates.

        The rates cover the last five seconds, or the time since the start at the first request: fps, bottleneck, stages
        (name, fps, busy as a share of the time, queue) and the finished frames per second of each source.
        """
        now = time.monotonic()
        if not self._looks or now - self._looks[-1][0] >= FRESH:
            self._looks.append((now, self._stats()))
            while len(self._looks) > 2 and now - self._looks[1][0] >= WINDOW:
                self._looks.popleft()
        at, books = self._looks[-1]
        if len(self._looks) == 1:
            return books, _between({}, books, books["wall_s"])
        began, before = self._looks[0]
        return books, _between(before, books, at - began)


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
        "fps": rate(after["ledger"]["finished"], before.get("ledger", {}).get("finished", 0)),
        "bottleneck": max(stages, key=lambda row: row["busy"])["name"] if stages else "",
        "stages": stages,
        "sources": sources,
    }
