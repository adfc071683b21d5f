"""The loops' own process: what it answers, and how it fails."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vidclf.bench import apart
from vidclf.bench.apart import SERIAL, LoopProcess
from vidclf.bench.setting import Setting
from vidclf.errors import VidclfError
from vidclf.recipe import Item
from vidclf.resources import shipped


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    clip = shutil.copy(shipped("samples") / "wardrobe.mp4", tmp_path / "in.mp4")
    source = Item("capture", {"source": str(clip), "max_frames": 40})
    items = [source, Item("motion"), Item("crop"), Item("classify"), Item("write")]
    return Setting.of(clip, items, tmp_path, "motion")


@pytest.fixture
def loops(setting: Setting) -> Iterator[LoopProcess]:
    with LoopProcess(setting, others=False) as loops:
        yield loops


def test_a_loop_runs_in_another_process_as_often_as_it_is_asked_to(loops: LoopProcess) -> None:
    assert loops.names == [SERIAL]
    (cost, seen), (again, same) = loops.run(SERIAL), loops.run(SERIAL)
    assert cost.count == again.count == len(seen) == 40 and cost.wall > 0
    assert seen == same


def test_a_loop_that_cannot_begin_says_why(setting: Setting) -> None:
    setting.clip.write_bytes(b"no clip")
    loops = LoopProcess(setting, others=False)
    with pytest.raises(VidclfError, match=r"in\.mp4: OpenCV.* finds no frame in it"), loops:
        pass


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_that_is_killed_is_not_waited_for(loops: LoopProcess) -> None:
    assert loops._process.pid
    os.kill(loops._process.pid, signal.SIGKILL)
    loops._process.join()
    with pytest.raises(VidclfError, match=r"^the process of the loops was killed by SIGKILL"):
        loops.run(SERIAL)


class Odd(Exception):
    """An error that cannot be sent: it is made of two values, and keeps one."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one)


def test_an_error_of_another_library_survives_the_pipe(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[object] = []

    class Pipe:
        def send(self, answer: object) -> None:
            answers.append(pickle.loads(pickle.dumps(answer)))

        def recv(self) -> str:
            return SERIAL

    def fails() -> None:
        raise Odd("no such\nthing", "of that")

    monkeypatch.setattr(apart, "settle", lambda: None)
    monkeypatch.setattr(apart, "loops_of", lambda *_: {SERIAL: fails})
    apart._serve(Pipe(), setting, False)  # type: ignore[arg-type]
    assert answers[0] == [SERIAL]
    assert str(answers[1]) == "serial loop: Odd: no such thing" and isinstance(answers[1], VidclfError)


def test_a_loop_may_have_the_threads_that_ultralytics_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import torch

    def threads() -> tuple[int, int]:
        return torch.get_num_threads(), cv2.getNumThreads()

    monkeypatch.setattr("ultralytics.utils.NUM_THREADS", 1)
    monkeypatch.setenv("VIDCLF_THREADS", "2")
    before = threads()
    seen: list[Any] = []
    assert apart._as_imported(lambda: seen.append(threads()) or [[]]) == [[]]  # type: ignore[func-returns-value]
    assert seen == [(1, 1)]
    assert threads() == before
