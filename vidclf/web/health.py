"""The health of the sources: which of them give frames, by the statistics and by what comes out of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from vidclf.rates import Stats
from vidclf.web.board import Board, Camera

AWAY = ("absent", "reconnecting", "given up", "silent")  # states of a source without frames
SILENT = 10.0  # seconds without a frame after which a connected camera is silent: something in the pipeline hangs
LOADING = 120.0  # the same, before any camera's first frame: networks are loaded and converted


class Health:
    """Finds out the state of every source; times count from when it was first asked about a connection."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._since: dict[str, tuple[object, float]] = {}  # each source's connection, and when it was first looked at

    def cameras(self, stats: Stats, now: dict[str, Any]) -> list[dict[str, Any]]:
        """Every source, including those without a picture yet: its statistics, state, and address of its picture.

        stats, now: as from `Rates.now`.
        """
        # A single file has no entry of its own: its statistics are the run's.
        entries = stats.get("sources") or ({stats["source"]: stats["ledger"]} if stats["source"] else {})
        numbers = {camera.name: number for number, camera in enumerate(self._board.cameras)}
        rows = []
        for name in {**entries, **numbers}:
            entry, number = entries.get(name, {}), numbers.get(name)
            camera = None if number is None else self._board.cameras[number]
            state = self._state(name, entry, camera)
            rows.append(
                {
                    "name": name,
                    "state": state,
                    "away": state in AWAY,
                    "problem": entry.get("problem", ""),
                    "live": entry.get("live", False),
                    "reconnects": entry.get("reconnects", 0),
                    "lag_ms": entry.get("lag_ms"),
                    "fps": now["sources"].get(name, now["fps"]),
                    **{key: entry[key] for key in ("read", "finished", "corrupt", "dropped") if key in entry},
                    "last_frame_s": round(time.monotonic() - camera.seen, 3) if camera else None,
                    "size": list(camera.size) if camera else None,
                    "picture": f"/cameras/{number}.jpg" if camera else None,
                    "stream": f"/cameras/{number}.mjpg" if camera else None,
                }
            )
        return rows

    def _state(self, name: str, entry: Stats, camera: Camera | None) -> str:
        """A source's state; silent if it is connected but no frames of it come out."""
        state, now = entry.get("state", "connected"), time.monotonic()
        connection = state, entry.get("reconnects")
        if self._since.get(name, ("", 0.0))[0] != connection:
            self._since[name] = connection, now
        latest, pause = (camera.seen, camera.pause) if camera else (0.0, 0.0)
        # With a large stride, the next frame may be as far away as the one before.
        patience = max(SILENT, 2 * pause) if self._board.cameras else LOADING
        is_silent = entry.get("live") and now - max(self._since[name][1], latest) > patience
        return "silent" if is_silent and state == "connected" else state


def summary(cameras: Sequence[dict[str, Any]], problems: Sequence[str]) -> str:
    """ok; degraded if some sources are away, or there are other problems; down if all sources are away."""
    away = [camera["away"] for camera in cameras]
    return "down" if away and all(away) else "degraded" if any(away) or problems else "ok"
