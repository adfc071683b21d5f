"""What becomes of a run whose messages cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SAMPLE

FULL = Path("/dev/full")


@pytest.fixture(params=["a full disk", "nobody"])
def stderr(request: pytest.FixtureRequest) -> Iterator[int]:
    """A stderr on which every write fails."""
    if request.param == "nobody":
        reader, writer = os.pipe()
        os.close(reader)
    elif FULL.exists():
        writer = os.open(FULL, os.O_WRONLY)
    else:
        pytest.skip("needs /dev/full")
    yield writer
    os.close(writer)


def vidclf(stderr: int, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "vidclf", *arguments], stderr=stderr, check=False).returncode


def test_a_run_ends_as_if_they_had_been_read(stderr: int, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    assert vidclf(stderr, "run", SAMPLE, "-o", str(output), "--max-frames", "10", "--debug") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_error_keeps_its_exit_code(stderr: int) -> None:
    assert vidclf(stderr, "run", "no such file.mp4", "--debug") == 2
