"""The driver alone: what it makes of what it finds, with workers that do nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vidclf.batch import chore, driver, plan
from vidclf.batch.clips import Clip, Found
from vidclf.batch.driver import Batch
from vidclf.batch.job import Job, Outcome
from vidclf.batch.manifest import Manifest
from vidclf.batch.plan import Settings
from vidclf.batch.storage import Folder
from vidclf.errors import UsageError

A, B = Clip("a.mp4", 10, 1), Clip("b.mp4", 10, 1)
Make = Callable[..., Batch]


class Idle:
    """Workers for which every clip is done at once."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self._told: list[Outcome] = []

    @property
    def free(self) -> int:
        return 0 if self._told else 1

    def submit(self, job: Job) -> None:
        self.jobs.append(job.path)
        stats = {"ledger": {"finished": 1}, "detections": 0, "labels": {}}
        self._told.append(Outcome(job.path, size=10, mtime_ns=1, sha256="0", stats=stats))

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
