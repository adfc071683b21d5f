from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frames import Frames, make_frames, make_source
from vidclf.boxes import keep_inside
from vidclf.errors import VidclfError
from vidclf.frame import Detection, Frame
from vidclf.pipeline import Pipeline
from vidclf.stages import Annotate, Crop, Record

SIZE = 32, 24  # of the frames


def boxes_of(*boxes: Any) -> list[Any]:
    (frame,) = make_frames(1, make_source(size=SIZE))
    frame.detections = [Detection(box) for box in boxes]
    keep_inside(frame, "finder")
    return [detection.box for detection in frame.detections]


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((0, 0, 32, 24), (0, 0, 32, 24)),
        ((-10, -10, 100, 100), (0, 0, 32, 24)),
        ((-5, 4, 6, 20), (0, 4, 6, 20)),
        ((4, -5, 6, 20), (4, 0, 6, 20)),
        ((20, 4, 40, 20), (20, 4, 32, 20)),
        ((20, 4, 30, 40), (20, 4, 30, 24)),
        ((10.5, 10.2, 20.7, 20.1), (10, 10, 21, 20)),
        ((-0.4, -0.4, 32.4, 24.4), (0, 0, 32, 24)),
        (np.float32([1.2, 2.7, 3, 4]), (1, 3, 3, 4)),
        (tuple(np.int64([1, 2, 3, 4])), (1, 2, 3, 4)),
    ],
)
def test_a_box_is_rounded_and_clipped_on_all_sides(box: Any, kept: tuple[int, ...]) -> None:
    (found,) = boxes_of(box)
    assert found == kept and {type(corner) for corner in found} == {int}


def test_only_empty_boxes_are_dropped() -> None:
    nothing = [(5, 5, 5, 5), (40, 10, 50, 20), (-9, 2, -1, 9), (2, 30, 9, 40), (20, 20, 10, 10), (3.1, 3.1, 3.4, 9)]
    assert boxes_of(nothing[0], (1, 2, 3, 4), *nothing[1:], (4, 5, 6, 7)) == [(1, 2, 3, 4), (4, 5, 6, 7)]


def test_a_mask_is_clipped_with_its_box() -> None:
    (frame,) = make_frames(1, make_source(size=SIZE))
    mask = np.arange(20 * 10).reshape(20, 10) % 3 == 0
    frame.detections = [Detection((-2, -3, 8, 17), mask=mask), Detection((25, 10, 35, 30), mask=mask)]
    keep_inside(frame, "finder")
    first, second = frame.detections
    assert first.mask is not None and np.array_equal(first.mask, mask[3:, 2:])
    assert second.mask is not None and np.array_equal(second.mask, mask[:14, :7])


def test_boxes_of_a_picture_that_was_shrunk_later_stay() -> None:
    (frame,) = make_frames(1, make_source(size=SIZE))
    frame.detections = [Detection((20, 10, 30, 20))]
    frame.image = frame.image[::2, ::2].copy()
    keep_inside(frame, "shrink")
    assert [detection.box for detection in frame.detections] == [(20, 10, 30, 20)]


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ((nan, 1, 2, 3), "nan, 1, 2, 3"),
        ((0, 1, 2, inf), "0, 1, 2, inf"),
        ((1, 2, 3), "1, 2, 3"),
        ((1, 2, "x", 3), "1, 2, x, 3"),
    ],
)
def test_what_is_no_box_is_told_with_its_stage(box: Any, shown: str) -> None:
    with pytest.raises(VidclfError) as caught:
        boxes_of(box)
    assert str(caught.value) == f"stage 'finder': a box must be four finite numbers, got ({shown}) in frame 0 of clip"


@pytest.mark.parametrize(("name", "value"), [("score", nan), ("score", "high"), ("label_score", inf)])
def test_a_score_that_is_no_number_is_told_with_its_stage(name: str, value: Any) -> None:
    """It made records and messages that other programs cannot read."""
    (frame,) = make_frames(1, make_source(size=SIZE))
    frame.detections = [Detection((1, 2, 3, 4), score=0.5)]
    setattr(frame.detections[0], name, value)
    with pytest.raises(
        VidclfError, match=rf"^stage 'finder': a score must be a finite number, got .*{value}.* in frame"
    ):
        keep_inside(frame, "finder")


def finder(*boxes: Any) -> Callable[[Iterable[Frame]], Iterator[Frame]]:
    def find(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            frame.detections += [Detection(box) for box in boxes]
            yield frame

    return find


def test_every_later_stage_gets_boxes_inside_the_picture(tmp_path: Path) -> None:
    seen: list[Any] = []
    stages = [finder((-10, -10, 100, 100), (5, 5, 5, 5), (1.5, 2.2, 9.7, 9.1)), Crop(), Annotate()]
    pipeline = Pipeline([Frames(2), *stages, Record(str(tmp_path / "found.jsonl"))])
    pipeline.run(lambda frame: seen.append([detection.box for detection in frame.detections]))
    assert seen == 2 * [[(0, 0, 32, 24), (2, 2, 10, 9)]]
    assert len((tmp_path / "found.jsonl").read_text().splitlines()) == 1 + 4


def test_a_box_that_is_none_ends_the_run_where_it_comes_from() -> None:
    with pytest.raises(VidclfError, match=r"^stage 'find': a box must be four finite numbers, got \(1, nan, 2, 3\) in"):
        Pipeline([Frames(2), finder((1, nan, 2, 3)), Crop()]).run()
