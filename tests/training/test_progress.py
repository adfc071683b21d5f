import io
import sys

import pytest

from vidclf.training.progress import Progress, duration


def test_progress_writes_lines_and_on_a_terminal_a_live_one() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        progress = Progress(stream)
        progress.live("step 1 of 10")
        progress.line("epoch 1")
    assert plain.getvalue() == "epoch 1\n"
    assert terminal.getvalue() == "step 1 of 10\repoch 1     \n"
    assert [duration(s) for s in (42, 725, 3725)] == ["42 s", "12 min 05 s", "1 h 02 min"]


def test_warnings_are_told_even_if_progress_is_not_wanted() -> None:
    """They went the way of the progress, and --quiet hid them."""
    said = io.StringIO()
    progress = Progress(said, quiet=True)
    progress.line("epoch 1")
    progress.warn("too optimistic")
    assert said.getvalue() == "too optimistic\n"


def test_a_stderr_that_is_closed_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python has none then: the first live line was an AttributeError, and no one saw it."""
    monkeypatch.setattr(sys, "stderr", None)
    progress = Progress()
    for say in (progress.live, progress.line, progress.warn):
        say("epoch 1")
    assert capsys.readouterr().out == ""
