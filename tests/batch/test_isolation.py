"""A bad clip, a dying worker, a killed batch, a second batch, a full disk: each costs what it must and no more."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.batch.conftest import Run
from tests.clips import look
from tests.folders import add, files, rows, start
from vidclf.batch.job import fault_of
from vidclf.errors import UsageError, VidclfError

pytestmark = pytest.mark.usefixtures("folder")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
DONE = {f"{name}.{suffix}" for name in ("a", "b", "sub/c") for suffix in ("mp4", "jsonl")}
FINAL = DONE | {"table.parquet", "summary.html"}


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def states() -> list[object]:
    return [row[0] for row in rows("status").values()]


@pytest.mark.usefixtures("inline")
def test_bad_clips_are_listed_with_their_reasons_and_stop_nobody(batch: Run) -> None:
    Path("clips/text.mp4").write_text("not a video")
    Path("clips/empty.mkv").touch()
    code, out, err = batch("--json", "-", "--quiet")
    assert code == 3
    reasons = {
        "empty.mkv": f"{Path('clips/empty.mkv')} is empty (0 bytes)",
        "text.mp4": f"cannot read {Path('clips/text.mp4')} as video: Invalid data found when processing input",
    }
    assert err.splitlines() == [f"failed: {clip}: {reason}" for clip, reason in reasons.items()]
    assert json.loads(out)["failed"] == [{"clip": clip, "reason": reason} for clip, reason in reasons.items()]
    assert files() == FINAL
    assert rows("status, attempts, error")["text.mp4"] == ("failed", 1, reasons["text.mp4"])
    # What failed by its own fault is not tried again, but still told.
    code, _, err = batch()
    assert code == 3
    assert "0 clips done, 3 already finished, 2 failed" in err
    assert rows("attempts")["text.mp4"] == (1,)
    batch("--retry-failed")
    assert rows("attempts")["text.mp4"] == (2,)


@pytest.mark.usefixtures("inline")
def test_a_clip_that_was_mended_or_taken_away_is_no_failure_any_more(batch: Run, clip: Path) -> None:
    Path("clips/a.mp4").write_text("not a video")
    Path("clips/text.mp4").write_text("not a video")
    assert batch()[0] == 3
    add(clip, "a.mp4")
    Path("clips/text.mp4").unlink()
    code, _, err = batch()
    assert code == 0
    assert "1 clip to do, 2 already finished" in err
    assert set(rows("status")) == {"a.mp4", "b.mp4", "sub/c.mp4"}


@pytest.mark.usefixtures("inline")
def test_a_clip_that_broke_loses_the_results_it_had(batch: Run) -> None:
    batch()
    Path("clips/a.mp4").write_text("not a video any more")
    assert batch()[0] == 3
    assert files() == FINAL - {"a.mp4", "a.jsonl"}


@posix
def test_the_death_of_a_worker_costs_one_attempt_of_one_clip(batch: Run, clip: Path) -> None:
    add(clip, "killer.mp4", "once.mp4")
    code, _, err = batch("--retry", 1, pipeline="trouble.yaml")
    assert code == 3
    reason = "its worker process was killed by SIGKILL; possibly out of memory"
    assert f"once.mp4: {reason}; will retry later\n" in err
    assert f"failed: killer.mp4: {reason}\n" in err
    assert rows("status, attempts") == {
        "a.mp4": ("done", 1), "b.mp4": ("done", 1), "killer.mp4": ("failed", 2), "once.mp4": ("done", 2),
        "sub/c.mp4": ("done", 1),
    }  # fmt: skip
    assert files() == FINAL | {"once.mp4", "once.jsonl"}


@pytest.mark.usefixtures("inline")
def test_what_a_stage_raises_is_tried_again_and_told_with_stage_and_frame(batch: Run, clip: Path) -> None:
    add(clip, "raises.mp4")
    code, _, err = batch("--retry", 1, "--include", "raises.mp4", pipeline="trouble.yaml")
    assert code == 3
    assert "failed: raises.mp4: in stage 'trouble' at frame 0 of clips/raises.mp4: RuntimeError: no luck\n" in err
    assert rows("attempts")["raises.mp4"] == (2,)
    assert files() == {"table.parquet", "summary.html"}


@pytest.mark.usefixtures("inline")
def test_a_configuration_that_cannot_work_ends_the_batch_at_the_first_clip(batch: Run) -> None:
    Path("refuses.py").write_text(
        "from vidclf.errors import UsageError\n"
        "class Refuses:\n"
        "    def __call__(self, frames):\n"
        "        raise UsageError('no such model')\n"
        "        yield\n"
    )
    Path("refuses.yaml").write_text("- capture\n- refuses:Refuses\n- write\n")
    code, _, err = batch(pipeline="refuses.yaml")
    assert code == 2
    assert "Error: no such model (in a.mp4)\n" in err
    assert set(states()) == {"pending"}


def test_a_worker_that_was_silent_costs_no_results(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert batch()[0] == 0
    monkeypatch.setattr("vidclf.batch.workers.START_SECONDS", 2.0)
    Path("trouble.yaml").write_text(
        Path("quick.yaml").read_text().replace("- motion", "- trouble:Trouble: {pause: 9}\n- motion")
    )
    code, _, err = batch("--timeout", 1, "--retry", 0, "--include", "a.mp4", pipeline="trouble.yaml")
    assert code == 3
    assert "failed: a.mp4: its worker process did not respond for " in err
    assert {"a.mp4", "a.jsonl"} <= files()


def test_a_clip_that_says_nothing_is_given_up(batch: Run) -> None:
    Path("sleeps.py").write_text(
        "import time\n"
        "class Sleeps:\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            if frame.source.name.endswith('b.mp4'):\n"
        "                time.sleep(600)\n"
        "            yield frame\n"
    )
    Path("sleeps.yaml").write_text("- capture\n- sleeps:Sleeps\n- write\n")
    code, _, err = batch(
        "--timeout", 4, "--retry", 0, "--jobs", 1, pipeline="sleeps.yaml"
    )  # a.mp4 makes the worker ready
    assert code == 3
    assert "failed: b.mp4: its worker process did not respond for " in err
    assert sorted(states()) == ["done", "done", "failed"]


@posix
def test_a_killed_group_is_taken_up_where_it_was(batch: Run, clip: Path) -> None:
    add(clip, *(f"more/{n}.mp4" for n in range(3)))
    batch(pipeline="slow.yaml")
    undisturbed = {name: Path("out", name).read_bytes() for name in files() if name.endswith(".jsonl")}
    Path("out").rename("undisturbed")
    chance = random.Random(5)
    interrupted = 0
    for running in (1, 3, 5):  # clips that are done before it is killed
        run = start("--jobs", "2")
        until(lambda running=running: states().count("done") >= running)
        time.sleep(chance.uniform(0, 0.5))
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        interrupted += states().count("running")
    code, _, err = batch(pipeline="slow.yaml")
    assert code == 0, err
    assert files() == files("undisturbed")
    assert {name: Path("out", name).read_bytes() for name in undisturbed} == undisturbed
    for name in files():
        if name.endswith(".mp4"):
            assert len(look(Path("out", name), numbered=False).times) == 12
    assert sum(row[0] for row in rows("attempts").values()) == 6 + interrupted  # type: ignore[misc]


@posix
def test_workers_die_with_the_batch_and_its_folder_is_free(batch: Run) -> None:
    run = start()
    until(lambda: "running" in states())
    until(lambda: len(psutil.Process(run.pid).children()) >= 1)
    workers = psutil.Process(run.pid).children()
    run.kill()  # it alone, not the group
    run.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert len(gone) >= 1
    assert batch()[0] == 0


@posix
def test_two_batches_cannot_share_a_folder_of_results(batch: Run) -> None:
    run = start()
    until(lambda: "running" in states())
    assert batch()[::2] == (2, "Error: out is in use by another vidclf batch\n")
    run.kill()
    run.communicate()


@posix
def test_ctrl_c_finishes_the_running_clips_and_the_second_aborts(batch: Run, clip: Path) -> None:
    add(clip, *(f"{n}.mp4" for n in range(6)))
    run = start("--json", "report.json")
    until(lambda: "running" in states())
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "stopping: finishing the running clips; press Ctrl-C again to abort\n" in err
    assert "Traceback" not in err
    assert sorted(set(states())) == ["done", "pending"]
    assert json.loads(Path("report.json").read_text())["interrupted"] is True
    assert not [name for name in files() if ".part" in name]
    done = states().count("done")

    run = start("--set", "trouble:Trouble.pause=1")
    until(lambda: "running" in states())
    os.killpg(run.pid, signal.SIGINT)
    time.sleep(0.7)  # sooner it counts as the same
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=8)  # the clip would take 12 s
    assert run.returncode == 130
    assert err.endswith("interrupted\n")
    assert "running" not in states()
    assert not [name for name in files() if ".part" in name]
    code, _, err = batch(pipeline="slow.yaml")
    assert code == 0
    assert f"{9 - done} clips to do" in err or "9 clips to do" in err


@posix
def test_a_closed_terminal_finishes_the_running_clips(clip: Path) -> None:
    add(clip, *(f"{n}.mp4" for n in range(6)))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, by children, too
    run = start()
    signal.signal(signal.SIGHUP, before)
    until(lambda: "running" in states())
    os.killpg(run.pid, signal.SIGHUP)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "stopping" not in err  # nobody is there to read it
    assert sorted(set(states())) == ["done", "pending"]
    assert not [name for name in files() if ".part" in name]


@pytest.mark.usefixtures("inline")
def test_a_full_disk_ends_the_batch_and_leaves_only_what_is_complete(
    batch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"bytes": 40 << 20}
    monkeypatch.setattr("vidclf.batch.storage.Folder.free", lambda _: (free["bytes"], 200 << 20))
    monkeypatch.setattr("vidclf.batch.disk.LOOK_SECONDS", 0.0)
    finish = rows

    def fill_up(*_: object) -> None:
        free["bytes"] = 1 << 20

    monkeypatch.setattr("vidclf.batch.disk.Disk.learn", fill_up)
    code, _, err = batch()
    assert code == 1
    assert "Error: not enough disk space for the results of b.mp4: 1.0 MB are free, " in err
    assert finish("status") == {"a.mp4": ("done",), "b.mp4": ("pending",), "sub/c.mp4": ("pending",)}
    assert files() == {"a.mp4", "a.jsonl", "table.parquet", "summary.html"}
    monkeypatch.undo()


@pytest.mark.usefixtures("inline")
def test_a_disk_that_fills_up_while_it_is_written_to(batch: Run) -> None:
    Path("fills.py").write_text(
        "import errno\n"
        "class Fills:\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            if frame.index == 5 and 'b.mp4' in frame.source.name:\n"
        "                raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "            yield frame\n"
    )
    Path("fills.yaml").write_text("- capture\n- fills:Fills\n- write\n- record\n")
    code, _, err = batch(pipeline="fills.yaml")
    assert code == 1
    assert "Error: the disk is full: " in err
    assert rows("status") == {"a.mp4": ("done",), "b.mp4": ("pending",), "sub/c.mp4": ("pending",)}
    assert files() == {"a.mp4", "a.jsonl", "table.parquet", "summary.html"}


def test_a_manifest_that_is_none_or_of_another_version(batch: Run) -> None:
    Path("out").mkdir()
    Path("out/manifest.sqlite").write_text("not a database, but long enough to look like a file of some kind")
    code, _, err = batch()
    assert (code, err) == (
        2, f"Error: {Path('out/manifest.sqlite')} is not a manifest of vidclf batch: file is not a database\n",
    )  # fmt: skip
    Path("out/manifest.sqlite").unlink()
    with sqlite3.connect("out/manifest.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    code, _, err = batch()
    assert (code, err) == (
        2, f"Error: {Path('out/manifest.sqlite')} has version 99, but this vidclf supports 1; use another folder\n",
    )  # fmt: skip


def caused(error: Exception, cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception:
            raise error from None
    except Exception as raised:
        return raised


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


class OutOfMemoryError(RuntimeError):
    """torch's, by its name."""


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (VidclfError("cannot read x as video: Invalid data"), "bad"),
        (caused(VidclfError("cannot write x"), OSError(errno.ENOSPC, "full")), "full"),
        (caused(VidclfError("cannot be read any further"), OSError(errno.EIO, "broken")), "passing"),
        (MemoryError(), "passing"),
        (RuntimeError("CUDA error"), "passing"),
        (caused(VidclfError("x.pt cannot run on cuda"), OutOfMemoryError("CUDA out of memory.")), "passing"),
        (caused(VidclfError("x.pt cannot run on cuda"), RuntimeError("cuDNN error: CUDNN_STATUS_X")), "passing"),
        (noted(UsageError("no such file: x"), "in stage 'capture'"), "bad"),
        (UsageError("item 9: write: cannot write x: File name too long"), "bad"),
        (noted(UsageError("it does not know the class 'x'"), "in stage 'yolo' at frame 0"), "configuration"),
    ],
    ids=str,
)
def test_faults(error: Exception, fault: str) -> None:
    assert fault_of(error) == fault


def test_help_is_quick_and_starts_nothing() -> None:
    done = subprocess.run([sys.executable, "-m", "vidclf", "batch", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "vidclf batch clips -o results" in done.stdout
