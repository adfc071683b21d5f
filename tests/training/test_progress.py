import io

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
