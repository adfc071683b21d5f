"""Other libraries' loops do the same work as the serial loop; each is tested where its package is installed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bench.test_loops import setting
from tests.clips import look, write_clip
from vidclf.bench.agree import Seen
from vidclf.bench.loops import Person
from vidclf.bench.others import OTHERS, other_loops
from vidclf.bench.setting import PlainWriter, Setting
from vidclf.errors import VidclfError

needs_inference = pytest.mark.skipif(find_spec("inference") is None, reason="needs the package inference")


class Nobody(Person):
    """Finds nobody; fails where it is told to."""

    def __init__(self, failing: int | None = None):
        self.calls, self.failing = 0, failing

    def detect(self, image: np.ndarray) -> Any:
        self.calls += 1
        if self.calls == self.failing:
            raise ValueError("no such layer")

    def annotate(self, image: np.ndarray, result: Any) -> Seen:
        return []


def of(frames: int, folder: Path, **options: Any) -> Setting:
    """The setting for a clip of so many frames."""
    return setting(write_clip(folder / "in.mp4", frames), folder, **options)


def lasting_threads() -> set[threading.Thread]:
    """Those that Python waits for at its end."""
    return {thread for thread in threading.enumerate() if not thread.daemon}


@pytest.mark.parametrize("name", OTHERS)
def test_it_sees_what_the_serial_loop_sees(name, tmp_path, shared):
    if find_spec(OTHERS[name]) is None:
        pytest.skip(f"needs the package {OTHERS[name]}")
    clip, weights = shared / "clips" / "pets09_s2l1_480x360.mp4", str(shared / "detectors" / "yolo11n.pt")
    people = setting(clip, tmp_path, pipeline="person", detector_weights=weights, max_frames=6)
    person = Person(people)
    seen = other_loops(people, person)[name]()
    assert len(seen) == 6 and all(seen)
    assert seen == person.run()


@needs_inference
def test_inference_reads_every_frame_or_as_many_as_wanted(tmp_path, capfd):
    whole, few = of(150, tmp_path), of(150, tmp_path, max_frames=100)
    for one, frames in ((whole, 150), (few, 100), (whole, 150)):
        person = Nobody()
        assert len(other_loops(one, person)["InferencePipeline"]()) == person.calls == frames
        assert len(look(tmp_path / "inference.mp4", numbered=False).times) == frames
    assert not capfd.readouterr().out  # the figures go there


@needs_inference
def test_inference_runs_in_any_thread(tmp_path):
    run = other_loops(of(5, tmp_path), Nobody())["InferencePipeline"]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == [[]] * 5


@needs_inference
@pytest.mark.parametrize("failing", [1, 20])
def test_a_failure_of_inference_ends_it(failing, tmp_path):
    """Also its thread that decodes, which otherwise waits for somebody to take its frames, and Python for it."""
    one, before = of(150, tmp_path), lasting_threads()
    with pytest.raises(VidclfError, match=r"^InferencePipeline failed: ValueError: no such layer$"):
        other_loops(one, Nobody(failing))["InferencePipeline"]()
    assert lasting_threads() == before


@needs_inference
def test_a_failure_to_write_ends_inference(tmp_path, monkeypatch, capfd):
    def write(*_: object) -> None:
        raise OSError("disk full")

    one, person = of(150, tmp_path), Nobody()
    monkeypatch.setattr(PlainWriter, "write", write)
    with pytest.raises(VidclfError, match=r"^InferencePipeline failed: OSError: disk full$"):
        other_loops(one, person)["InferencePipeline"]()
    assert person.calls < 150
    assert not capfd.readouterr().out
