"""Worker processes that never get as far as a clip."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.clips import write_clip
from vidclf.batch.job import Job, Outcome, Progress, Runner
from vidclf.batch.storage import Folder, Remote
from vidclf.batch.workers import Processes, default_jobs
from vidclf.errors import VidclfError
from vidclf.recipe import Item


class Deadly:
    """Ends the process that unpickles it, as a broken library does that is imported there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)


def test_workers_that_die_at_their_start_end_the_batch() -> None:
    workers = Processes([], Deadly(), jobs=1, timeout=60)  # type: ignore[arg-type]
    told: list[Any] = []
    try:
        with pytest.raises(VidclfError) as raised:
            while len(told) < 3:
                workers.submit(Job(f"{len(told)}.mp4", "", {}))
                while workers.free == 0:
                    told += workers.wait(1)
    finally:
        workers.close()
    assert [(outcome.path, outcome.fault, outcome.error) for outcome in told] == [
        (f"{n}.mp4", "passing", "its worker process ended with exit code 7") for n in range(2)
    ]
    assert str(raised.value) == "3 worker processes died while starting; the last one ended with exit code 7"


def test_workers_that_are_silent_from_their_start_end_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.batch.workers.STILLBORN", 1)
    monkeypatch.setattr("vidclf.batch.workers.START_SECONDS", 0.0)
    workers = Processes([], None, jobs=1, timeout=0.0)  # type: ignore[arg-type]
    workers.submit(Job("a.mp4", "", {}))
    try:
        with pytest.raises(VidclfError) as raised:
            while True:
                workers.wait(0)
    finally:
        workers.close()
    wanted = "1 worker processes died while starting; the last one did not respond for 0 s and was stopped"
    assert str(raised.value) == wanted


def test_a_worker_may_take_longer_than_the_timeout_to_start() -> None:
    """With a short one, every worker was killed while it imported its libraries."""
    workers = Processes([], None, jobs=1, timeout=0.0)  # type: ignore[arg-type]
    workers.submit(Job("a.mp4", "none.mp4", {}))
    told: list[Any] = []
    try:
        while not told:
            told = workers.wait(1)
    finally:
        workers.close()
    assert [outcome.error for outcome in told] == ["cannot read none.mp4: No such file or directory"]


def test_a_clip_tells_while_it_is_looked_at_and_while_its_results_are_uploaded(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large one was stopped each time, as if it did not respond."""
    pytest.importorskip("fsspec")
    monkeypatch.setattr("vidclf.batch.job.TELL_SECONDS", 0.0)
    for module in ("files", "batch.storage"):
        monkeypatch.setattr(f"vidclf.{module}.PIECE", 100)
    told: list[Progress] = []
    runner = Runner([Item("capture"), Item("record", {"frames": True})], Remote(f"local://{tmp_path}/bucket"))
    outcome = runner.run(Job("clip.mp4", str(clip), {"record": "clip.jsonl"}), told.append)
    assert outcome.error == ""
    frames = [progress.frames for progress in told]
    assert frames == sorted(frames)
    assert frames.count(0) == -(-clip.stat().st_size // 100)
    assert frames.count(12) == 1 + -(-(tmp_path / "bucket/clip.jsonl").stat().st_size // 100)
    assert told[-1].seconds == pytest.approx(12 / 30)


def test_a_worker_that_looks_at_its_first_clip_has_not_loaded_its_models() -> None:
    workers = Processes([], None, jobs=1, timeout=60)  # type: ignore[arg-type]
    worker = SimpleNamespace(ready=False, heard=0.0)
    messages = [Progress("a.mp4", frames, 0.0, None) for frames in (0, 1)]
    ready = [(list(workers._take(worker, message)), worker.ready)[1] for message in messages]  # type: ignore[arg-type]
    assert ready == [False, True]


def test_all_that_a_worker_has_sent_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was one message after each scan of a slow share: the pipe filled up, and the worker stood still."""
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", lambda _: None)
    workers = Processes([], None, jobs=1, timeout=60)  # type: ignore[arg-type]
    workers.submit(Job("a.mp4", "", {}))
    worker = workers._workers[0]
    messages: list[Progress | Outcome] = [Progress("a.mp4", frames, 0.0, None) for frames in range(9)]
    messages.append(Outcome("a.mp4"))
    worker.pipe, sender = multiprocessing.Pipe()
    for message in messages:
        sender.send(message)
    assert list(workers._hear(worker)) == messages
    assert workers.free == 1


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_a_worker_that_is_killed_leaves_no_temporary_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """They filled the disk, as only the worker itself could have removed them."""
    pytest.importorskip("fsspec")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    items = [Item("capture", {"realtime": True}), Item("record", {"frames": True})]
    workers = Processes(items, Remote(f"local://{tmp_path}/bucket"), jobs=1, timeout=60)
    try:
        workers.submit(Job("long.mp4", str(write_clip(tmp_path / "long.mp4", 300)), {"record": "long.jsonl"}))
        while not list(tmp_path.rglob("long.jsonl*")):
            assert not any(isinstance(message, Outcome) for message in workers.wait(0.01))
        if end == "killed":
            workers._workers[0].process.kill()
            while workers.free == 0:
                workers.wait(1)
    finally:
        workers.close()
    assert not list(tmp_path.glob("vidclf-*"))


def test_a_process_that_failed_without_a_reason_in_its_clip_is_not_used_again() -> None:
    """After an error of CUDA, each later one in the process fails, too: it would take all clips, quickly."""
    workers = Processes([], None, jobs=1, timeout=60)  # type: ignore[arg-type]
    processes: list[int | None] = []
    told: list[Any] = []
    try:
        for _ in range(2):
            workers.submit(Job("a.mp4", __file__, {}))  # without stages, there is no storage to ask: AttributeError
            processes.append(workers._workers[0].process.pid)
            while workers.free == 0:
                told += workers.wait(1)
    finally:
        workers.close()
    assert [each.fault for each in told if isinstance(each, Outcome)] == ["passing"] * 2
    assert processes[0] != processes[1]


def networks(*devices: str) -> list[Item]:
    return [Item("capture"), *(Item("yolo", {"device": device}) for device in devices), Item("write")]


@pytest.mark.parametrize(
    ("devices", "gpus", "jobs"),
    [
        ([], 1, 16),
        (["cpu", "cpu"], 1, 16),
        (["auto"], 0, 16),
        (["auto", "cpu"], 1, 2),
        (["cuda"], 4, 8),
        (["cuda:1", "cuda:0,1"], 8, 4),
        (["cuda"], 10, 16),
    ],
)
def test_by_default_a_gpu_has_at_most_two_workers(
    devices: list[str], gpus: int, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of 128 cores' worth of them do not fit into its memory."""
    monkeypatch.setenv("OMP_NUM_THREADS", "32")
    monkeypatch.setattr("vidclf.batch.workers.count_gpus", lambda: gpus)
    assert default_jobs(networks(*devices)) == jobs


@pytest.mark.parametrize(
    ("devices", "visible", "given"),
    [
        (["auto"], None, ["0", "1", "0", "1"]),
        (["cuda", "cpu"], "6,7", ["6", "7", "6", "7"]),
        (["cuda:1", "auto"], None, [None] * 4),
        (["cpu"], None, [None] * 4),
    ],
)
def test_workers_get_the_gpus_in_turn(
    devices: list[str], visible: str | None, given: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them used the first one."""
    monkeypatch.setattr("vidclf.batch.workers.count_gpus", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    told: list[str | None] = []

    def start(_: object) -> None:
        told.append(os.environ.get("CUDA_VISIBLE_DEVICES"))

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    workers = Processes(networks(*devices), None, jobs=4, timeout=60)  # type: ignore[arg-type]
    for number in range(4):
        workers.submit(Job(f"{number}.mp4", "", {}))
    assert told == given
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


@pytest.mark.skipif(sys.platform == "win32", reason="has no process groups of that kind")
def test_sigterm_to_the_group_lets_a_clip_end(clip: Path, tmp_path: Path) -> None:
    """`systemctl stop` and `timeout` signal all processes; the first one decides."""
    items = [Item("capture", {"realtime": True}), Item("record", {"frames": True})]
    workers = Processes(items, Folder(tmp_path), jobs=1, timeout=60)
    told: list[Any] = []
    try:
        workers.submit(Job("clip.mp4", str(clip), {"record": "clip.jsonl"}))
        while not told:
            told = workers.wait(1)
        pid = workers._workers[0].process.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        while not isinstance(told[-1], Outcome):
            told += workers.wait(1)
    finally:
        workers.close()
    assert told[-1].error == ""
