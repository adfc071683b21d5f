"""How a run is asked to end."""

from __future__ import annotations

import signal
from io import StringIO

import pytest
from rich.console import Console

from vidclf.cli import execute


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
