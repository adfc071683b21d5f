"""Runs the commands as their users do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vidclf.cli.main import main
from vidclf.resources import shipped

SAMPLE = str(shipped("samples") / "wardrobe.mp4")
Run = Callable[..., tuple[int, str, str]]


def names(folder: str = ".") -> set[str]:
    """The names of the files in a folder."""
    return {path.name for path in Path(folder).iterdir()}


@pytest.fixture
def vidclf(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder; gives exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run
