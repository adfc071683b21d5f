"""How a run is asked to end, and what it says it has made."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vidclf.cli import execute
from vidclf.cli.main import main
from vidclf.files import Made
from vidclf.recipe import Item
from vidclf.resources import shipped

SAMPLE = str(shipped("samples") / "wardrobe.mp4")


class Run:
    def __init__(self) -> None:
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


def test_a_signal_that_comes_twice_at_once_is_one_and_a_later_one_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(execute, "monotonic", lambda: now[0])
    run, said = Run(), StringIO()
    with pytest.raises(KeyboardInterrupt), execute.stop_on_signals(run, Console(file=said, width=200)) as came:
        for now[0] in (100.0, 100.01, 100.4):  # as `timeout -s INT` does, to the child and to its group
            signal.raise_signal(signal.SIGINT)
        assert (came, run.stops) == ([signal.SIGINT], 1)
        now[0] = 100.6
        signal.raise_signal(signal.SIGINT)
    assert (came, run.stops) == ([signal.SIGINT, signal.SIGINT], 1)
    assert said.getvalue() == "stopping: finishing the frames in progress; press Ctrl-C again to abort\n"


@pytest.fixture
def hangup() -> Iterator[signal.Signals]:
    """SIGHUP, handled as at the start of a program."""
    if execute.HANGUP is None:
        pytest.skip("needs SIGHUP")
    before = signal.signal(execute.HANGUP, signal.SIG_DFL)
    yield execute.HANGUP
    signal.signal(execute.HANGUP, before)


def test_a_closed_terminal_stops_the_run_and_is_not_written_to(
    monkeypatch: pytest.MonkeyPatch, hangup: signal.Signals
) -> None:
    monkeypatch.setattr(execute, "ECHO_SECONDS", 0.0)
    run, console = Run(), Console(file=StringIO())
    with execute.stop_on_signals(run, console, hangup=True) as came:
        signal.raise_signal(hangup)
        signal.raise_signal(hangup)  # from the shell, and from the kernel
        console.print("lost")
    assert (came, run.stops, console.file.getvalue()) == ([hangup], 1, "")
    assert signal.getsignal(hangup) is signal.SIG_DFL


def test_under_nohup_a_closed_terminal_does_not_matter(hangup: signal.Signals) -> None:
    signal.signal(hangup, signal.SIG_IGN)
    run = Run()
    with execute.stop_on_signals(run, Console(file=StringIO()), hangup=True) as came:
        signal.raise_signal(hangup)
    assert (came, run.stops) == ([], 0)
    assert signal.getsignal(hangup) is signal.SIG_IGN


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
    told = execute.never_seen(Item("write", {"only_when": [2024, "coat"]}), {"labels": {}})
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
    assert execute.written(made) == ""
    made.add(Path("out.jsonl"))
    assert execute.written(made) == "wrote out.jsonl"
