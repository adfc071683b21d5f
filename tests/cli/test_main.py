"""`vidclf` before any command: what it says to nothing, and to what is no command."""

from __future__ import annotations

import pytest

from vidclf.cli.main import COMMANDS, main


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said on stderr."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0), capsys.readouterr().err


def test_alone_it_helps_rather_than_complains(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = say(capsys)
    assert code == 2
    assert said.startswith("Usage: vidclf")
    assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize(("typed", "meant"), [("rn", "run"), ("exprt", "export"), ("stage", "stages")])
def test_a_mistyped_command_is_told_what_was_meant(capsys: pytest.CaptureFixture[str], typed: str, meant: str) -> None:
    code, said = say(capsys, typed)
    assert (code, said.count("\n")) == (2, 1)
    assert f"No such command '{typed}'" in said
    assert f"'{meant}'" in said
