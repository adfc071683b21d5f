"""What every stage between capture and the end has to do, whatever it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frames import make_source
from vidclf.channel import Channel
from vidclf.frame import Detection, Frame, Source
from vidclf.stages import (
    Annotate,
    Classify,
    Crop,
    Gate,
    Interpolate,
    Motion,
    Publish,
    Record,
    SaveCrops,
    Serve,
    Smooth,
    Track,
    Write,
)

Make = Callable[[Path], Any]
STAGES: dict[str, Make] = {
    "motion mog2": lambda folder: Motion(min_area=0.01),
    "motion knn": lambda folder: Motion("knn", min_area=0.01),
    "motion reference": lambda folder: Motion("reference", min_area=0.01),
    "track": lambda folder: Track(),
    "gate": lambda folder: Gate("auto", still=True),
    "interpolate": lambda folder: Interpolate(),
    "smooth": lambda folder: Smooth(),
    "crop": lambda folder: Crop(),
    "classify": lambda folder: Classify(device="cpu"),
    "save-crops": lambda folder: SaveCrops(str(folder / "crops"), full=True),
    "annotate": lambda folder: Annotate(inset=True, fps=True, masks=True, trail=5),
    "publish": lambda folder: Publish("redis://127.0.0.1:1", spool=str(folder / "events"), linger=0.0),
    "write": lambda folder: Write(str(folder / "out.mp4"), force=True),
    "write opencv": lambda folder: Write(str(folder / "out.avi"), backend="opencv", force=True),
    "record jsonl": lambda folder: Record(str(folder / "out.jsonl"), force=True),
    "record csv": lambda folder: Record(str(folder / "out.csv"), force=True),
    "record parquet": lambda folder: Record(str(folder / "out.parquet"), force=True),
    "serve": lambda folder: Serve("127.0.0.1:0"),
}
ONE_FILE_A_SOURCE = {"write", "write opencv"}


@pytest.fixture(params=STAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(name: str, tmp_path: Path) -> Any:
    return STAGES[name](tmp_path)


def scene(count: int, source: Source | None = None) -> list[Frame]:
    """A light square that crosses a dark picture; with and without detections on it."""
    source = source or make_source(size=(96, 64))
    frames = []
    for index in range(count):
        image = np.full((64, 96, 3), 40, np.uint8)
        x = 4 + 2 * index
        detections = []
        if index > 1:
            image[20:44, x : x + 16] = 220
            detections = [Detection((x, 20, x + 16, 44), mask=np.ones((24, 16), bool))] if index % 3 else []
        frames.append(Frame(source, index, index, image, detections))
    return frames


def test_every_frame_comes_out_once_and_in_order(stage: Any) -> None:
    assert [frame.index for frame in stage(Channel.of(scene(20)))] == list(range(20))


def test_what_comes_out_is_as_promised(stage: Any) -> None:
    for frame in stage(Channel.of(scene(20))):
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.flags.c_contiguous
        for d in frame.detections:
            x0, y0, x1, y1 = d.box
            assert all(type(edge) is int for edge in d.box)
            assert 0 <= x0 < x1 <= 96
            assert 0 <= y0 < y1 <= 64
            assert 0 <= d.score <= 1
            assert d.mask is None or (d.mask.shape == (y1 - y0, x1 - x0) and d.mask.dtype == bool)
            assert d.crop is None or (d.crop.shape == (28, 28) and d.crop.dtype == np.uint8)
            if d.probabilities is not None:
                assert d.probabilities.dtype == np.float32
                assert d.probabilities.sum() == pytest.approx(1, abs=1e-4)


def test_no_frames_are_no_problem(stage: Any) -> None:
    assert list(stage(Channel.of([]))) == []


def test_a_single_frame_is_no_problem(stage: Any) -> None:
    assert len(list(stage(Channel.of(scene(1))))) == 1


def alike(one: list[Frame], two: list[Frame]) -> bool:
    """The same detections; boxes may differ by a pixel or two, as OpenCV's KNN learns from random frames."""
    pairs = [pair for f, g in zip(one, two, strict=True) for pair in zip(f.detections, g.detections, strict=True)]
    near = all(np.allclose(d.box, e.box, atol=2) for d, e in pairs)
    return near and all((d.track, d.label) == (e.track, e.label) for d, e in pairs)


def test_a_run_remembers_nothing_of_the_one_before(stage: Any) -> None:
    assert alike(list(stage(Channel.of(scene(12)))), list(stage(Channel.of(scene(12)))))


def test_sources_do_not_mix(name: str, stage: Any) -> None:
    """Two sources that take turns are treated as each would be alone."""
    if name in ONE_FILE_A_SOURCE:
        pytest.skip("writes one source")
    one, two = (scene(12, make_source(which, (96, 64))) for which in "ab")
    for frame in two:  # another scene: the picture upside down
        frame.image = np.ascontiguousarray(frame.image[::-1])
    alone = list(stage(Channel.of(one)))
    again = scene(12, one[0].source)
    turns = [frame for pair in zip(again, two, strict=True) for frame in pair]
    assert alike([f for f in stage(Channel.of(turns)) if f.source is one[0].source], alone)


def test_it_can_be_left_in_the_middle(stage: Any) -> None:
    stream = stage(Channel.of(scene(10)))
    next(iter(stream))
    stream.close()
