"""What a run says of itself at its end."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.conftest import SAMPLE, Run, names
from vidclf.cli.closing import closing_lines, closing_table, never_seen, written
from vidclf.files import Made
from vidclf.recipe import Item


def stage(name: str) -> dict[str, Any]:
    figures = {"in": 12_345, "out": 12_345, "p50_ms": 12.34, "p95_ms": 56.78}
    return {"name": name, "busy_s": 123.456, "wait_in_s": 0.0, "wait_out_s": 9.876} | figures


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


def test_an_event_that_never_came_is_told(vidclf: Run) -> None:
    code, _, err = vidclf("run", SAMPLE, "-o", "out.mp4", "--only-when", "coat", "--max-frames", 5)
    assert (code, names()) == (0, set())
    assert err.endswith("nothing was written to out.mp4: coat was never seen; labels seen: none\n")


def test_who_keeps_nothing_is_told_how(vidclf: Run) -> None:
    told = "nothing was saved: use -o OUT.mp4 for a video"
    code, _, err = vidclf("run", SAMPLE, "--max-frames", 2)
    assert code == 0 and told in err
    assert told not in vidclf("run", SAMPLE, "--max-frames", 2, "--record", "out.jsonl")[2]


def test_collecting_tells_how_much_and_where(vidclf: Run) -> None:
    _, _, err = vidclf("run", SAMPLE, "-p", "collect", "--max-frames", 60)
    count = len(list(Path("crops").rglob("*.png")))
    assert count and f"save-crops: saved {count}\n" in err
    assert err.endswith("wrote crops\n")


def test_what_was_written_before_this_run_is_not_told_as_its_own(vidclf: Run) -> None:
    Path("rec").mkdir()
    Path("rec/wardrobe-000000.mp4").write_text("yesterday's")
    options = "-p collect --set save-crops.folder=rec -o rec/ --only-when coat --record rec/ --max-frames 5"
    _, _, err = vidclf("run", SAMPLE, *options.split())
    video = Path("rec/wardrobe.mp4")
    assert f"nothing was written to {video}: coat was never seen; labels seen: none\n" in err
    assert f"wrote {Path('rec/wardrobe.jsonl')}\n" in err
    assert "nothing was written to rec\n" in err


def test_numbers_in_a_pipeline_file_can_be_names(vidclf: Run) -> None:
    Path("2024").mkdir()
    Path("numbers.yaml").write_text("- capture\n- write: {path: 2024, only_when: [any]}\n")
    code, _, err = vidclf("run", SAMPLE, "-p", "numbers.yaml", "--max-frames", 3)
    assert code == 0
    assert "nothing was written to 2024: any was never seen; labels seen: none\n" in err
    told = never_seen(Item("write", {"only_when": [2024, "coat"]}), {"labels": {}})
    assert told == ": 2024,coat was never seen; labels seen: none"


def test_several_files_are_told_with_their_number_and_length(vidclf: Run) -> None:
    _, _, err = vidclf("run", SAMPLE, "-o", "out/b.mp4", "--segment", "1s", "--max-frames", 96)
    files = len(list(Path("out").glob("b-*.mp4")))
    assert files > 2
    latest = max(path.name for path in Path("out").glob("b-*.mp4"))
    assert f"wrote out{os.sep}: {files} files, 4 s, the latest is {latest}\n" in err


def test_a_file_is_told_by_its_name() -> None:
    made = Made()
    assert written(made) == ""
    made.add(Path("out.jsonl"))
    assert written(made) == "wrote out.jsonl"
