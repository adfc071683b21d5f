"""The books of a stage."""

from __future__ import annotations

from threading import Thread
from time import sleep

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.frame import Detection, Frame
from vidclf.stats import Meter, Tally


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


def test_what_no_classifier_was_asked_for_counts_by_its_kind_and_an_abstention_has_no_label() -> None:
    box, some = (0, 0, 4, 4), np.full(2, 0.5, np.float32)
    frame = next(make_frames(1))
    frame.detections = [
        Detection(box, kind="person"),
        Detection(box, kind="person"),
        Detection(box, kind="sports ball"),
        Detection(box, kind="motion", probabilities=some),
        Detection(box, kind="motion", probabilities=some, label="Coat"),
        Detection(box, kind="motion", label="Bag"),  # by a stage of somebody's own
    ]
    tally = Tally()
    tally.count(frame)
    assert tally.detections == 6
    assert tally.labels == {"person": 2, "sports ball": 1, "": 1, "Coat": 1, "Bag": 1}


def test_sources_that_share_a_channel_wait_each_for_itself() -> None:
    """Each had the waits of all: with four into a slow stage, none was ever busy."""
    channel = Channel(size=1, producers=2)
    meters = [Meter(name, None, channel) for name in "ab"]
    first, second = (next(make_frames(1, make_source(name))) for name in "ab")
    meters[0].put(first)
    thread = Thread(target=meters[1].put, args=[second])
    thread.start()
    sleep(0.2)
    assert meters[0].wait_out < 0.1 < meters[1].wait_out  # also while it still waits
    channel.take()
    thread.join()
    assert meters[0].wait_out < 0.1 < meters[1].wait_out


def test_frames_that_a_stage_lets_through_to_nowhere_are_dropped_before_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stage of a user's that passes on only frames with objects: on a quiet camera, the books grew for ever."""
    monkeypatch.setattr("vidclf.stats.INSIDE", 10)
    frames = list(make_frames(30))
    meter = take_all(frames, 1)
    source = frames[0].source
    assert meter.dropped[source] == 20
    meter.gave(frames[29])
    assert meter.dropped[source] == 29
    meter.end()
    assert meter.dropped[source] == 29
