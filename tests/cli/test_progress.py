"""What a run says of itself at its end."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from vidclf.cli.progress import closing_lines, closing_table


def stage(name: str) -> dict[str, Any]:
    books = {"in": 12_345, "out": 12_345, "p50_ms": 12.34, "p95_ms": 56.78}
    return {"name": name, "busy_s": 123.456, "wait_in_s": 0.0, "wait_out_s": 9.876} | books


@pytest.mark.parametrize("width", [40, 60, 71, 80, 200])
def test_the_closing_table_can_be_read_at_every_width(width: int) -> None:
    console = Console(file=StringIO(), width=width)
    stages = [stage("capture"), stage("interpolate")]
    stats = {"source": "a.mp4", "wall_s": 12.0, "fps": 34.0, "bottleneck": "interpolate", "stages": stages}
    console.print(closing_table(stats, console.width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert "interpolate *" in text
    assert ("waits" in text) == (width >= 72)
    assert text.count("123.46") == text.count("12345") / (2 if width >= 72 else 1) == 2


def test_a_camera_that_gave_nothing_has_no_lag() -> None:
    none, some = {"p50": None, "p95": None, "p99": None}, {"p50": 8.4, "p95": 20.0, "p99": 31.7}
    usual = {"live": True, "corrupt": 0, "dropped": {}, "problem": ""}
    here = usual | {"read": 9, "finished": 8, "reconnects": 1, "lag_ms": some}
    absent = usual | {"read": 0, "finished": 0, "reconnects": 0, "lag_ms": none, "problem": "Connection refused"}
    total = {"read": 9, "finished": 8, "corrupt": 0, "dropped": {"late": 1}}
    stats = {"ledger": total, "detections": 0, "labels": {}, "sources": {"a": here, "b": absent}, "stages": []}
    assert closing_lines(stats) == [
        "9 frames read, 8 finished, 1 dropped (late)",
        "0 detections",
        "a: 8 of 9 frames, 1 reconnect, lag 8/20/32 ms",
        "b: 0 of 0 frames, 0 reconnects, Connection refused",
    ]
