"""Files that arrive while the batch watches: done when they are complete, and not before."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.clips import look
from tests.folders import add, rows, start

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_files_are_done_as_they_arrive_and_left_alone_while_they_are_written(clip: Path) -> None:
    def until_done(*names: str) -> None:
        deadline = time.monotonic() + 90
        while not all(rows("status").get(name) == ("done",) for name in names):
            assert run.poll() is None and time.monotonic() < deadline, (rows("status, error"), run.poll())
            time.sleep(0.1)

    run = start("--watch", "--settle", "3", pipeline="quick.yaml")
    until_done("a.mp4", "b.mp4", "sub/c.mp4")
    content = clip.read_bytes()
    with Path("clips/slow.mp4").open("wb", buffering=0) as file:
        for piece in range(0, len(content), len(content) // 12):
            file.write(content[piece : piece + len(content) // 12])
            assert "slow.mp4" not in rows("status")
            time.sleep(0.5)
    add(clip, "late/d.mp4")
    until_done("slow.mp4", "late/d.mp4")
    # Begun once, and not before it was complete.
    assert rows("attempts, frames")["slow.mp4"] == (1, 12)
    summary = Path("out/summary.html")
    deadline = time.monotonic() + 60
    while "late/d.mp4" not in summary.read_text(encoding="utf-8"):  # it is kept up to date
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err  # watching has no other end
    assert len(look(Path("out/late/d.mp4"), numbered=False).times) == 12
