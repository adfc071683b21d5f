"""What a run says of itself at its end."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from vidclf.cli.progress import closing_table


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
