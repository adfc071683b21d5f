"""Runs the commands as their users do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.idx import write_bars
from vidclf.cli.main import main
from vidclf.errors import UsageError
from vidclf.resources import shipped

SAMPLE = str(shipped("samples") / "wardrobe.mp4")
QUICK = ["--no-verify", "--epochs", "1", "--batch", "32", "--threads", "1", "--device", "cpu"]  # for `vidclf train`
Run = Callable[..., tuple[int, str, str]]


def names(folder: str = ".") -> set[str]:
    """The names of the files in a folder."""
    return {path.name for path in Path(folder).iterdir()}


def refused(*words: str | Path) -> str:
    """What `vidclf train` says when it refuses."""
    from vidclf.cli.train import train

    with pytest.raises(UsageError) as raised:
        CliRunner().invoke(train, [*QUICK, *map(str, words)], catch_exceptions=False)
    return str(raised.value)


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


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set, in the form of Fashion-MNIST's."""
    return write_bars(tmp_path_factory.mktemp("bars"))


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with a run and its weights, and what the command said."""
    from vidclf.cli.train import train

    folder = tmp_path_factory.mktemp("trained")
    words = ["--data", str(pictures), *QUICK, "--run", str(folder / "run"), "-o", str(folder / "mine.safetensors")]
    return folder, CliRunner().invoke(train, words, catch_exceptions=False)
