"""What `write` and `record` do with what a killed live run left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clips import write_clip
from tests.stages.test_recording import camera, frames
from vidclf.lock import NameLock
from vidclf.stages._leftovers import name_leftovers
from vidclf.stages._video_file import plays
from vidclf.stages.capture import Capture
from vidclf.stages.record import Record
from vidclf.stages.write import Write

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from tests.stages.test_recording import camera, frames
from vidclf.stages.record import Record
from vidclf.stages.write import Write
stages = Write("rec/"), Record("rec/record-20250101T000000Z" + sys.argv[1])
for frame in stages[1](stages[0](frames(100, camera(), lambda n: True))):
    if frame.index == 50:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_next_run_names_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    caplog.set_level("INFO", "vidclf")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", KILLED, suffix], cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    monkeypatch.chdir(tmp_path)
    lock, video, rows = (next(Path("rec").glob(name)) for name in (".h*.lock", "h*.part", "r*.part"))
    table = f"record-20250101T000000Z{suffix}"
    assert rows.name == f"{table}.part"
    empty = Path("rec/host-cam-20250101T000000Z.mp4")
    for name in (f"{empty.name}.part", f".{empty.name}.lock"):
        (empty.parent / name).touch()

    list(Record(f"rec/record-20250102T000000Z{suffix}")(Write("rec/")(frames(1, camera()))))
    read = suffix != ".parquet"
    there = names(Path("rec"))
    assert len(there) == 4 and not lock.exists()
    assert video.stem in there and (table if read else rows.name) in there and not empty.exists()
    assert 30 < len(list(Capture(f"rec/{video.stem}")())) <= 51
    assert caplog.messages == [
        f"rec: recovered from an unfinished run: {video.stem}",
        f"rec: recovered from an unfinished run: {table}"
        if read
        else f"rec: left by an unfinished run, and cannot be read: {rows.name}",
    ]
    if read:
        assert len((Path("rec") / table).read_text().splitlines()) == 1 + 51


def test_what_is_still_being_written_stays_a_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "cam-20250101T000000Z.mp4", 5)
    part = path.rename(tmp_path / f"{path.name}.part")
    name_leftovers(tmp_path / "cam.mp4", plays)  # of a folder without locks, perhaps
    lock = NameLock(path)
    assert lock.acquire()
    name_leftovers(tmp_path / "cam.mp4", plays)
    assert part.exists() and caplog.messages == []
    lock.release()
    os.utime(part, (1, 1))
    name_leftovers(tmp_path / "other.mp4", plays)
    assert names(tmp_path) == [part.name]
    name_leftovers(tmp_path / "cam.mp4", plays)
    assert names(tmp_path) == [path.name]
