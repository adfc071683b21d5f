"""The books of a stage."""

from __future__ import annotations

import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.frame import Frame
from vidclf.stats import Meter


def take_all(frames: list[Frame], limit: int) -> Meter:
    meter = Meter("stage", Channel.of(frames), None)
    while meter.take(limit):
        pass
    return meter


@pytest.mark.parametrize(("limit", "batch"), [(1, 1.0), (4, 4.0), (8, 8.0), (100, 8.0)])
def test_the_end_of_the_frames_is_no_batch(limit: int, batch: float) -> None:
    row = take_all(list(make_frames(8)), limit).row()
    assert (row["batch"], row["batch_sources"]) == (batch, 1.0)


def test_a_stage_without_frames_had_no_batch() -> None:
    row = take_all([], 8).row()
    assert (row["batch"], row["batch_sources"]) == (0.0, 0.0)


def test_a_batch_tells_of_how_many_sources_it_was() -> None:
    one, two = (make_frames(3, make_source(name)) for name in "ab")
    row = take_all([frame for pair in zip(one, two, strict=True) for frame in pair], 4).row()
    assert (row["batch"], row["batch_sources"]) == (3.0, 2.0)
