"""What a run says of itself at its end."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vidclf.cli.closing import closing_lines, closing_table, never_seen, written
from vidclf.cli.main import main
from vidclf.files import Made
from vidclf.recipe import Item
from vidclf.resources import shipped

SAMPLE = str(shipped("samples") / "wardrobe.mp4")


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


def test_what_was_written_before_this_run_is_not_told_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rec").mkdir()
    Path("rec/wardrobe-000000.mp4").write_text("yesterday's")
    command = "-p collect --set save-crops.folder=rec -o rec/ --only-when coat --record rec/ --max-frames 5"
    with pytest.raises(SystemExit):
        main(["run", SAMPLE, *command.split()])
    video = Path("rec/wardrobe.mp4")
    err = capsys.readouterr().err
    assert f"nothing was written to {video}: coat was never seen; labels seen: none\n" in err
    assert f"wrote {Path('rec/wardrobe.jsonl')}\n" in err
    assert "nothing was written to rec\n" in err


def test_numbers_in_a_pipeline_file_can_be_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("2024").mkdir()
    Path("numbers.yaml").write_text("- capture\n- write: {path: 2024, only_when: [any]}\n")
    with pytest.raises(SystemExit) as left:
        main(["run", SAMPLE, "-p", "numbers.yaml", "--max-frames", "3"])
    assert not left.value.code
    assert "nothing was written to 2024: any was never seen; labels seen: none\n" in capsys.readouterr().err
    told = never_seen(Item("write", {"only_when": [2024, "coat"]}), {"labels": {}})
    assert told == ": 2024,coat was never seen; labels seen: none"


def test_several_files_are_told_with_their_number_and_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["run", SAMPLE, "-o", "out/b.mp4", "--segment", "1s", "--max-frames", "96"])
    files = len(list(Path("out").glob("b-*.mp4")))
    assert files > 2
    latest = max(path.name for path in Path("out").glob("b-*.mp4"))
    assert f"wrote out{os.sep}: {files} files, 4 s, the latest is {latest}\n" in capsys.readouterr().err


def test_a_file_is_told_by_its_name() -> None:
    made = Made()
    assert written(made) == ""
    made.add(Path("out.jsonl"))
    assert written(made) == "wrote out.jsonl"
