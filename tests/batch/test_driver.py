"""The driver alone: what it makes of what it finds, with workers that do nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vidclf.batch import chore, driver, plan
from vidclf.batch.clips import Clip, Found
from vidclf.batch.driver import Batch
from vidclf.batch.events import Report
from vidclf.batch.job import Job, Outcome
from vidclf.batch.manifest import Manifest
from vidclf.batch.plan import Settings
from vidclf.batch.storage import Folder
from vidclf.errors import UsageError

A, B = Clip("a.mp4", 10, 1), Clip("b.mp4", 10, 1)
Make = Callable[..., Batch]


class Idle:
    """Workers for which every clip is done at once, or fails the first times for want of memory, with its hash known.

    faults: how often it fails.
    """

    def __init__(self, faults: int = 0) -> None:
        self.jobs: list[str] = []
        self._told: list[Outcome] = []
        self._faults = faults

    @property
    def free(self) -> int:
        return 0 if self._told else 1

    def submit(self, job: Job) -> None:
        self.jobs.append(job.path)
        outcome = Outcome(job.path, size=10, mtime_ns=1, sha256="0")
        outcome.stats = {"ledger": {"finished": 1}, "detections": 0, "labels": {}}
        if len(self.jobs) <= self._faults:
            outcome.fault, outcome.error = "passing", "CUDA out of memory"
        self._told.append(outcome)

    def wait(self, _: float) -> list[Outcome]:
        told, self._told = self._told, []
        return told

    def close(self) -> None: ...


@pytest.fixture
def workers() -> Idle:
    return Idle()


@pytest.fixture
def watch(tmp_path: Path, workers: Idle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a batch that watches, each look of which finds the next of these, or raises it, or calls it."""
    monkeypatch.setattr(plan, "SCAN_SECONDS", 0.0)
    monkeypatch.setattr(plan, "SCAN_PAUSES", 0)
    manifest = Manifest(tmp_path / "manifest.sqlite")

    def make(*looks: Any, **options: Any) -> Batch:
        left = list(looks)

        def find() -> Found:
            if not left:
                batch.stop()
                return Found()
            look = left.pop(0)
            if isinstance(look, Exception):
                raise look
            return look() if callable(look) else look

        settings = Settings(tmp_path, {"record": "0"}, watch=True, settle=0)
        batch = Batch(settings, find, manifest, Folder(tmp_path), workers, lambda _: None, **options)
        return batch

    yield make
    manifest.close()


def test_a_folder_that_is_away_for_a_moment_is_told_once_and_does_not_end_the_watch(
    watch: Make, workers: Idle, caplog: pytest.LogCaptureFixture
) -> None:
    away = UsageError("the folder clips does not exist")
    with caplog.at_level(logging.WARNING, "vidclf"):
        report = watch(Found([A]), away, OSError(5, "Input/output error"), Found([A, B]), Found([A, B]), away).run()
    assert (workers.jobs, report.done, report.failed) == (["a.mp4", "b.mp4"], 2, {})
    assert [record.getMessage() for record in caplog.records] == [
        "the folder clips does not exist; trying again"
    ] * 2  # twice, as it was back in between


def test_results_that_are_away_for_a_moment_do_not_end_the_watch(
    watch: Make, workers: Idle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    have, asked = Folder.have, [0]

    def hiccup(folder: Folder, names: Iterable[str]) -> set[str]:
        asked[0] += 1
        if asked[0] == 2:
            raise OSError(110, "Connection timed out")
        return have(folder, names)

    monkeypatch.setattr(Folder, "have", hiccup)
    with caplog.at_level(logging.WARNING, "vidclf"):
        watch(Found([A]), *[Found([A, B])] * 3).run()
    assert workers.jobs == ["a.mp4", "b.mp4"]
    assert len(caplog.records) == 1 and "Connection timed out; trying again" in caplog.text


def test_a_folder_that_was_never_there_is_a_mistake(watch: Make) -> None:
    with pytest.raises(UsageError):
        watch(UsageError("the folder clips does not exist")).run()


def test_problems_that_are_gone_are_forgotten(watch: Make, workers: Idle) -> None:
    known: list[dict[str, str]] = []

    def note(found: Found) -> Callable[[], Found]:
        def look() -> Found:
            known.append(dict(batch.problems))
            return found

        return look

    broken = {"b.mp4": "a symbolic link to nothing"}
    batch = watch(*map(note, (Found([A], broken), Found([A], broken), Found([A, B]), Found([A, B]), Found([A]))))
    report = batch.run()
    assert known == [{}, broken, broken, {}, {}]
    assert (workers.jobs, report.failed) == (["a.mp4", "b.mp4"], {})


def test_a_foreign_file_is_a_problem_as_long_as_its_clip_is_there(watch: Make, workers: Idle, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine")
    reason = {"a.mp4": "a.jsonl exists, but no batch made it; overwrite it with --force"}

    def look() -> Found:
        assert batch.problems == batch.report.failed == reason
        return Found([B])

    batch = watch(Found([A]), Found([A]), look)
    assert batch.run().failed == {}
    assert workers.jobs == ["b.mp4"]


def test_a_watch_that_waits_for_space_says_so_once(watch: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It stood still without a word."""
    batch = watch(Found([A]), Found([A]), Found([A]))
    lacks = iter(["too little", "too little", None])
    batch._disk.lacks = lambda _: next(lacks)  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "vidclf"):
        assert batch.run().done == 1
    assert caplog.messages == ["waiting for disk space for the results of a.mp4: too little"]


def test_a_rest_that_takes_long_comes_seldom(watch: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every clip that arrived, the table of all clips was written anew."""
    clips, now, rests = [Clip(f"{n}.mp4", 10, 1) for n in range(3)], [100.0], list[tuple[int, float]]()
    for module in (driver, plan, chore):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def rest(_: object) -> None:
        rests.append((batch.report.done, now[0]))
        now[0] += 1

    def later() -> Found:
        now[0] += 5
        return Found(clips)

    batch = watch(*(Found(clips[:count]) for count in (1, 1, 2, 2, 3, 3)), *[later] * 10, when_idle=rest)
    assert batch.run().done == 3
    assert rests == [(1, 100), (3, 121)]


def test_a_rest_that_fails_is_told_and_does_not_end_the_watch(watch: Make, caplog: pytest.LogCaptureFixture) -> None:
    def rest(_: object) -> None:
        raise RuntimeError("the bucket is away")

    batch = watch(Found([A]), Found([A]), Found([A, B]), Found([A, B]), when_idle=rest)
    with caplog.at_level(logging.WARNING, "vidclf"):
        assert batch.run().done == 2
    assert "RuntimeError: the bucket is away" in caplog.text


def test_the_books_are_saved_as_clips_are_planned_with_what_could_not_be_tried(watch: Make) -> None:
    broken, saved = {"c.mp4": "a symbolic link to nothing"}, list[tuple[int, dict[str, str]]]()
    batch = watch(Found([A], broken), save=lambda problems: saved.append((batch.report.done, problems)))
    assert batch.run().done == 1
    assert saved == [(0, broken)]  # the next time is a minute away


def test_a_rest_that_failed_is_tried_again(watch: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table was open in another program, say; without another clip it stayed as it was."""
    monkeypatch.setattr(chore, "RETRY", 0.0)
    monkeypatch.setattr(chore, "PAUSES", 0)
    tries = list[int]()

    def rest(_: object) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise PermissionError(13, "Permission denied")

    watch(Found([A]), *[Found([A])] * 5, when_idle=rest).run()
    assert len(tries) == 2


def test_a_bucket_that_is_away_for_a_moment_does_not_end_the_watch(watch: Make, workers: Idle) -> None:
    """Its client raises errors of its own."""

    class EndpointConnectionError(Exception):
        pass

    assert watch(Found([A]), EndpointConnectionError("no route"), Found([A, B]), Found([A, B])).run().done == 2
    assert workers.jobs == ["a.mp4", "b.mp4"]


def test_clips_that_vanish_and_come_back_are_done(watch: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a share that is not mounted is an empty one."""

    class Away(Idle):
        def submit(self, job: Job) -> None:
            super().submit(job)
            if len(self.jobs) == 1:
                self._told = [Outcome(job.path, "bad", "cannot read a.mp4: No such file or directory")]

    workers = Away()
    batch = watch(Found([A, B]), *[Found()] * 3, *[Found([A, B])] * 4)
    batch._workers = workers
    report = batch.run()
    assert (report.done, report.failed) == (2, {})
    assert sorted(workers.jobs) == ["a.mp4", "a.mp4", "b.mp4"]


class Clock:
    """Time that goes on by a second whenever the workers wait; notes when they were given clips."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, workers: Idle):
        self.now, self.begun = 100.0, list[float]()
        submit, wait = workers.submit, workers.wait

        def noted(job: Job) -> None:
            self.begun.append(self.now - 100)
            submit(job)

        def pass_by(seconds: float) -> list[Outcome]:
            self.now += 1
            return wait(seconds)

        workers.submit, workers.wait = noted, pass_by  # type: ignore[method-assign]
        for module in (driver, plan, chore):
            monkeypatch.setattr(module, "monotonic", lambda: self.now)


def run_once(folder: Path, workers: Idle, manifest: Manifest) -> Report:
    """One run over the clip a.mp4, without a watch."""
    settings = Settings(folder, {"record": "0"})
    return Batch(settings, lambda: Found([A]), manifest, Folder(folder), workers, lambda _: None).run()


def test_retries_wait_until_a_temporary_fault_may_be_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them came within a second, while the memory of the GPU was still in use."""
    monkeypatch.setattr(plan, "RETRY_PAUSES", (5.0, 30.0))
    workers = Idle(faults=2)
    clock = Clock(monkeypatch, workers)
    with closing(Manifest(tmp_path / "manifest.sqlite")) as manifest:
        assert run_once(tmp_path, workers, manifest).done == 1
    assert clock.begun == [0, 6, 37]  # the fault itself takes a second


def test_a_clip_in_its_pause_holds_up_no_other(watch: Make, workers: Idle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is the clip's own: one at the head of the queue must not make the workers idle."""
    monkeypatch.setattr(plan, "RETRY_PAUSES", (5.0,))
    workers._faults = 1
    Clock(monkeypatch, workers)
    assert watch(*[Found([A, B])] * 9).run().done == 2
    assert workers.jobs == ["a.mp4", "b.mp4", "a.mp4"]


def test_the_next_run_tries_a_clip_again_that_failed_through_a_temporary_fault(tmp_path: Path) -> None:
    """It took the fault for the clip's own, as the clip's hash was known, and told it again without an attempt."""
    with closing(Manifest(tmp_path / "manifest.sqlite")) as manifest:
        assert run_once(tmp_path, Idle(faults=3), manifest).failed == {"a.mp4": "CUDA out of memory"}
        report = run_once(tmp_path, Idle(), manifest)
    assert (report.done, report.failed) == (1, {})


def test_a_watch_tries_a_clip_again_that_failed_through_a_temporary_fault(
    watch: Make, workers: Idle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the next run did, and a watch may run for months."""
    monkeypatch.setattr(plan, "AGAIN_SECONDS", 20.0)
    workers._faults = 6  # with two retries, it fails twice
    clock = Clock(monkeypatch, workers)
    report = watch(*[Found([A])] * 90).run()
    assert (report.done, report.failed, report.skipped) == (1, {}, 0)
    assert clock.begun == [0, 1, 2, 23, 24, 25, 66]  # the second pause is twice as long
