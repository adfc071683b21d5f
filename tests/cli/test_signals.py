"""How a run is asked to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from vidclf.cli import signals
from vidclf.cli.signals import HANGUP, stop_on_signals


class Run:
    def __init__(self) -> None:
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


def test_a_signal_that_comes_twice_at_once_is_one_and_a_later_one_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(signals, "monotonic", lambda: now[0])
    run, said = Run(), StringIO()
    with pytest.raises(KeyboardInterrupt), stop_on_signals(run, Console(file=said, width=200)) as came:
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
    if HANGUP is None:
        pytest.skip("needs SIGHUP")
    before = signal.signal(HANGUP, signal.SIG_DFL)
    yield HANGUP
    signal.signal(HANGUP, before)


def test_a_closed_terminal_stops_the_run_and_is_not_written_to(
    monkeypatch: pytest.MonkeyPatch, hangup: signal.Signals
) -> None:
    monkeypatch.setattr(signals, "ECHO_SECONDS", 0.0)
    run, console = Run(), Console(file=StringIO())
    with stop_on_signals(run, console) as came:
        signal.raise_signal(hangup)
        signal.raise_signal(hangup)  # from the shell, and from the kernel
        console.print("lost")
    assert (came, run.stops, console.file.getvalue()) == ([hangup], 1, "")
    assert signal.getsignal(hangup) is signal.SIG_DFL


def test_under_nohup_a_closed_terminal_does_not_matter(hangup: signal.Signals) -> None:
    signal.signal(hangup, signal.SIG_IGN)
    run = Run()
    with stop_on_signals(run, Console(file=StringIO())) as came:
        signal.raise_signal(hangup)
    assert (came, run.stops) == ([], 0)
    assert signal.getsignal(hangup) is signal.SIG_IGN
