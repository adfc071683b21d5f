from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from time import perf_counter

import pytest

if not hasattr(os, "mkfifo"):
    pytest.skip("needs named pipes", allow_module_level=True)

from vidclf.video import pipe as module
from vidclf.video.pipe import Pipe


@pytest.fixture(autouse=True, params=[False, True], ids=["poll", "select, as on a Mac"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IS_MAC", request.param or module.IS_MAC)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    os.mkfifo(tmp_path / "fifo")
    yield tmp_path / "fifo"


def test_it_waits_for_its_writer_and_gives_all_up_to_the_end(fifo: Path) -> None:
    with closing(Pipe(str(fifo), lambda: False)) as pipe:
        Timer(0.3, fifo.write_bytes, [b"abc"]).start()
        assert [pipe.read(2), pipe.read(2), pipe.read(2)] == [b"ab", b"c", b""]


def test_who_waits_can_be_stopped(fifo: Path) -> None:
    began = perf_counter()
    with closing(Pipe(str(fifo), lambda: perf_counter() - began > 0.3)) as pipe:
        assert pipe.read(2) == b""
    assert 0.3 < perf_counter() - began < 10  # the machine may be busy
