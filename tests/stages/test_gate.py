from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frames import make_source
from vidclf.errors import UsageError
from vidclf.frame import Frame, Source
from vidclf.stages import Capture, Gate


def walk(count: int, speed: int, source: Source | None = None, width: int = 40) -> Iterator[Frame]:
    """A light figure, so many pixels wide, that walks so many pixels a frame before a textured wall."""
    source = source or make_source(size=(640, 480), rate=25)
    wall = np.random.default_rng(0).integers(40, 90, (480, 640, 3), np.uint8)
    for index in range(count):
        image = wall.copy()
        x = (index * speed) % 600
        image[200:320, x : x + width] = 230
        yield Frame(source, index, index, image)


def searched(stage: Gate, frames: Iterator[Frame]) -> list[int]:
    return [frame.index for frame in stage(frames) if not frame.skip]


def test_every_so_many_frames() -> None:
    stage = Gate(every=4)
    assert searched(stage, walk(20, 2)) == [0, 4, 8, 12, 16]
    assert stage.counts == {"searched": 5, "between": 15, "still": 0}
    assert searched(Gate(every=1), walk(5, 2)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_auto_searches_when_a_figure_has_come_about_its_own_width(width: int) -> None:
    keys = np.array(searched(Gate("auto"), walk(100, 8, width=width)))
    come = np.diff(keys)[1:-1] * 8
    assert width <= np.median(come) <= 3 * width


def test_auto_searches_at_a_cut_and_after_half_a_second_at_the_latest() -> None:
    frames = list(walk(60, 0))
    for frame in frames[20:]:
        frame.image = 255 - frame.image
    assert searched(Gate("auto"), iter(frames)) == [0, 13, 20, 33, 46, 59]


def test_a_still_scene_is_not_searched_again_for_a_second() -> None:
    stage = Gate(every=1, still=True)
    frames = [*walk(30, 0)]
    for frame, moving in zip(frames[15:20], walk(5, 10), strict=True):
        frame.image = moving.image
    found = searched(stage, iter(frames))
    assert found == [0, 16, 17, 18, 19, 20]
    assert stage.counts == {"searched": 6, "between": 0, "still": 24}
    assert searched(Gate(every=1, still=True), walk(60, 0)) == [0, 25, 50]


def test_noise_is_no_news() -> None:
    dice = np.random.default_rng(1)
    frames = list(walk(20, 0))
    for frame in frames:
        frame.image = np.clip(frame.image + dice.normal(0, 6, frame.image.shape), 0, 255).astype(np.uint8)
    assert searched(Gate(every=1, still=True), iter(frames)) == [0]


def test_a_still_room_on_a_real_clip_is_spared_and_a_person_is_not(shared: Path) -> None:
    clip = str(shared / "clips" / "intel_one_by_one_768x432.mp4")
    stage = Gate(every=1, still=True)
    for _ in stage(Capture(clip, max_frames=300)()):
        pass
    assert stage.counts["still"] > 60
    assert stage.counts["searched"] > 100


def test_a_picture_of_another_size_is_searched() -> None:
    """The boxes of a larger one, of the same shape, lay outside of it, and ended the run."""
    frames = [*walk(6, 0)]
    for frame in frames[3:]:
        frame.image = np.ascontiguousarray(frame.image[::2, ::2])
    assert [frame.skip for frame in Gate(every=5)(iter(frames))] == ["", "between", "between", "", "between", "between"]


@pytest.mark.parametrize("every", [0, 1001, "often", 2.5, None])
def test_options_are_checked(every: Any) -> None:
    with pytest.raises(UsageError, match=f"^every must be 1 to 1000 frames, or auto, got {every!r}$"):
        Gate(every=every)
