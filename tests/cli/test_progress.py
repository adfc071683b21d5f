"""What a run says of itself while it lasts."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.clips import write_clip
from tests.frames import Frames, make_frames, make_source
from vidclf.cli.progress import ShowProgress, Times, expected_frames
from vidclf.frame import Source
from vidclf.pipeline import Pipeline
from vidclf.resources import shipped
from vidclf.stages.capture import Capture


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        ({"frames": 795}, {}, 795),
        ({"frames": 795}, {"max_frames": 10}, 10),
        ({"frames": 795}, {"stride": 100}, 8),
        ({"frames": 795}, {"stride": 100, "max_frames": 10}, 8),
        ({"frames": 795, "begin": 10.0, "duration": 20.0, "rate": Fraction(25)}, {"stride": 2}, 125),
        ({"duration": 0.01, "rate": Fraction(25)}, {}, 1),
        ({"duration": 20.0}, {"max_frames": 10}, None),
    ],
)
def test_what_the_capture_leaves_out_is_not_expected(
    source: dict[str, Any], options: dict[str, Any], expected: int | None
) -> None:
    assert expected_frames(Source("a.mp4", (96, 72), **source), Capture("a.mp4", **options)) == expected


def test_a_first_stage_of_ones_own_leaves_nothing_out() -> None:
    assert expected_frames(Source("a", (96, 72), frames=7), Frames(7)) == 7


@pytest.mark.parametrize(
    ("count", "name", "shown"),
    [(1, "clips/a.mp4", "a.mp4"), (1, "rtsp://host/x", "x"), (2, "rtsp://host/x, rtsp://host/y", "2 sources")],
)
def test_the_bar_tells_of_all_sources(count: int, name: str, shown: str) -> None:
    console = Console(file=StringIO(), width=200, force_terminal=True)
    pipeline = Pipeline([[Frames(1) for _ in range(count)], lambda frames: frames])
    with ShowProgress(console, pipeline, name) as show:
        pipeline.run(show)
    assert f" {shown} " in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("total", "expected"), [(100, "0:01:10 elapsed, 0:00:30 left"), (None, "0:01:10 elapsed")])
def test_which_time_has_passed_and_which_is_left_is_said(total: int | None, expected: str) -> None:
    now = 0
    bar = Progress(get_time=lambda: now, auto_refresh=False)
    task = bar.add_task("", total=total)
    for now in range(0, 80, 10):
        bar.update(task, completed=now)
    assert Times().render(bar.tasks[0]).plain == expected


@pytest.mark.parametrize(("expected", "said"), [(9, "interrupted: 3 of 9 frames"), (None, "interrupted: 3 frames")])
def test_how_much_an_interrupted_run_has_finished(expected: int | None, said: str) -> None:
    source = make_source()
    source.frames = expected
    pipeline = Pipeline([lambda _: make_frames(3, source)])
    show = ShowProgress(Console(file=StringIO()), pipeline, "a.mp4")
    pipeline.run(show)
    assert show.interrupted() == said


def test_progress_is_of_the_frames_that_will_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.cli.progress.LINE_SECONDS", 0.0)
    console = Console(file=StringIO(), width=200)
    pipeline = Pipeline([Capture(str(shipped("samples") / "wardrobe.mp4"), stride=2, max_frames=3)])
    with ShowProgress(console, pipeline, "a.mp4") as show:
        pipeline.run(show)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[0] for line in lines] == ["a.mp4: 1/3 frames", "a.mp4: 2/3 frames", "a.mp4: 3/3 frames"]


class Returned:
    """A camera that gives 16 frames a second, but was offline for the first 100 seconds; and the clock."""

    def __init__(self) -> None:
        self.sources, self.now = [None], 1000.0

    def monotonic(self) -> float:
        return self.now

    def stats(self) -> dict[str, Any]:
        wall = self.now - 1000
        row = {"name": "motion", "out": 0, "busy_s": wall / 2, "queue": 0}
        finished = max(0.0, wall - 100) * 16
        return {"wall_s": wall, "ledger": {"finished": finished}, "stages": [row], "bottleneck": "capture"}


def test_the_speed_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    run, console = Returned(), Console(file=StringIO(), width=200)
    monkeypatch.setattr("vidclf.cli.progress.monotonic", run.monotonic)
    monkeypatch.setattr("vidclf.rates.time", run)
    (frame,) = make_frames(1)
    with ShowProgress(console, run, "cam") as show:  # type: ignore[arg-type]
        run.now += 100
        for _ in range(220):
            run.now += 1 / 16
            show(frame)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[1:] == ["cam: 81/? frames, 16 fps, slowest: motion", "cam: 161/? frames, 16 fps, slowest: motion"]


def read(terminal: int) -> bytes:
    """What is shown on a pseudo-terminal; nothing once its other side is closed."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_record_goes_to_stdout_although_stderr_is_a_terminal(tmp_path: Path) -> None:
    """The bar caught it: all rows went to the terminal, and none to the file or the pipe."""
    clip = write_clip(tmp_path / "in.mp4", 12)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "vidclf", "run", str(clip), "--record", "-", "--record-frames"]
    drain = Thread(target=lambda: [None for _ in iter(lambda: read(ours), b"")], daemon=True)
    drain.start()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=120)
    finally:
        os.close(theirs)
    drain.join()
    os.close(ours)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 12
