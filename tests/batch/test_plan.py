"""The plan alone: which clips get into the queue, look by look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Row

import pytest

from vidclf.batch import manifest as manifest_module
from vidclf.batch import plan as plan_module
from vidclf.batch.clips import Clip, Found
from vidclf.batch.events import Planned, Report
from vidclf.batch.manifest import Manifest
from vidclf.batch.names import output_names
from vidclf.batch.plan import Plan, Settings
from vidclf.batch.storage import Folder
from vidclf.errors import UsageError

A, B = Clip("a.mp4", 10, 1), Clip("b.mp4", 10, 1)
Make = Callable[..., Plan]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a plan, each look of which finds the next of these, or raises it."""
    manifest = Manifest(tmp_path / "manifest.sqlite")

    def plan(*looks: Found | Exception, watch: bool = True) -> Plan:
        left = iter(looks)

        def find() -> Found:
            look = next(left)
            if isinstance(look, Exception):
                raise look
            return look

        settings = Settings(tmp_path, {"write": "0", "record": "1"}, watch=watch, settle=0)
        return Plan(settings, find, manifest, Folder(tmp_path), Report())

    yield plan
    manifest.close()


def test_a_clip_that_waits_or_runs_is_not_planned_again_though_it_looks_otherwise_now(make: Make) -> None:
    grown = [Clip(clip.path, 20, 2) for clip in (A, B)]
    plan = make(Found([A, B]), Found(grown), Found(grown))
    assert plan.look([]) == Planned([A, B], 0, {})
    assert plan.queue.popleft() == A
    assert plan.look(["a.mp4"]) is None
    assert list(plan.queue) == [B]
    assert plan.look([]) == Planned([grown[0]], 0, {})
    assert list(plan.queue) == [B, grown[0]]


def test_who_does_not_watch_looks_once(make: Make) -> None:
    plan = make(Found([A]), watch=False)
    assert plan.is_due
    plan.look([])
    assert not plan.is_due


def test_a_folder_is_away_until_it_is_found_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    away = UsageError("the folder clips does not exist")
    plan, states = make(Found([A]), away, away, Found([A])), []
    with caplog.at_level(logging.WARNING, "vidclf"):
        for _ in range(4):
            plan.look([])
            states.append(plan.is_away)
    assert states == [False, True, True, False]
    assert caplog.messages == ["the folder clips does not exist; trying again"]


def test_outputs_have_the_name_of_their_clip_and_the_hash_of_what_makes_them(make: Make) -> None:
    plan = make(Found([A]))
    plan.look([])
    assert plan.outputs("a.mp4") == output_names("a") == {"write": "a.mp4", "record": "a.jsonl"}
    assert plan.wanted("a.mp4") == {"a.mp4": "0", "a.jsonl": "1"}


def test_what_vanishes_from_the_queue_is_told_and_planned_when_it_comes_back(make: Make) -> None:
    plan = make(Found([A, B]), Found([A]), Found([A, B]))
    plan.look([])
    assert plan.look([]) == Planned([], 0, {}, gone=[B])
    assert list(plan.queue) == [A]
    assert plan.look([]) == Planned([B], 0, {})


def test_the_next_scan_comes_long_after_one_that_took_long(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow share it came at once, and workers got no attention."""
    now = 100.0
    monkeypatch.setattr(plan_module, "monotonic", lambda: now)

    def find() -> Found:
        nonlocal now
        now += 3
        return Found([A])

    plan = make()
    plan._find = find
    plan.look([])
    due = []
    for _ in range(13):
        due.append(plan.is_due)
        now += 1
    assert due == [False] * 12 + [True]


def test_only_the_rows_of_the_clips_in_question_are_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each new clip it was every row that was ever stored, which took seconds."""
    read, checked = list[str](), manifest_module.check

    def note(row: Row) -> None:
        if "status" in row.keys():  # noqa: SIM118 - a row itself iterates over its values
            read.append(row["path"])
        checked(row)

    plan = make(Found([A]), Found([A, B]))
    plan.look([])
    monkeypatch.setattr(manifest_module, "check", note)
    assert plan.look(["a.mp4"]) == Planned([B], 0, {})
    assert read == ["b.mp4"]
    assert plan.outputs("a.mp4") == output_names("a")  # what runs is known further
