"""What is left of a table that was not closed; what a whole one holds is tested in test_records.py, and `record`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidclf.tables import TABLES

LINES = [form for form in TABLES.values() if form.can_pause]
ROW = {"source": "clip.mp4", "frame": 1}


@pytest.mark.parametrize("suffix", TABLES)
def test_what_can_pause_is_salvaged(tmp_path: Path, suffix: str) -> None:
    part, form = tmp_path / f"out{suffix}.part", TABLES[suffix]
    with form(part) as table:
        table.write(ROW)
        assert form.salvage(part) is form.can_pause


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize(
    ("content", "left"),
    [("a\nb\n", "a\nb\n"), ("a\nb", "a\n"), ("a", None), ("a\n" + "b" * 5_000_000, "a\n")],
)
def test_half_a_line_is_cut_off(tmp_path: Path, form: Any, content: str, left: str | None) -> None:
    path = tmp_path / "rows"
    path.write_text(content)
    assert form.salvage(path) is (left is not None)
    assert path.read_text() == (left or content)
