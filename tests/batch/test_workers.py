"""Worker processes that never get as far as a clip."""

from __future__ import annotations

import os
from typing import Any

import pytest

from vidclf.batch.job import Job
from vidclf.batch.workers import Processes
from vidclf.errors import VidclfError


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
    assert str(raised.value) == "3 worker processes died while they started; the last one ended with exit code 7"


def test_workers_that_are_silent_from_their_start_end_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.batch.workers.STILLBORN", 1)
    workers = Processes([], None, jobs=1, timeout=0.0)  # type: ignore[arg-type]
    workers.submit(Job("a.mp4", "", {}))
    try:
        with pytest.raises(VidclfError) as raised:
            while True:
                workers.wait(0)
    finally:
        workers.close()
    wanted = "1 worker processes died while they started; the last one gave no sign of life for 0 s and was stopped"
    assert str(raised.value) == wanted
