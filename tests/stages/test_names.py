"""Classify, with `hold`: tracked objects are looked at once in a while."""

from __future__ import annotations

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame
from vidclf.stages import Classify, _names
from vidclf.stages._names import Names


def sights(count: int, track: int | None = 1, size: int = 20) -> list[Frame]:
    """Ten frames a second of one object, whose crop is different noise each time."""
    dice = np.random.default_rng(0)
    frames = list(make_frames(count, make_source(size=(640, 480), rate=10)))
    for frame in frames:
        crop = dice.integers(0, 255, (28, 28), np.uint8)
        frame.detections = [Detection((0, 0, size, size), track=track, crop=crop)]
    return frames


@pytest.mark.parametrize("batch", [1, 64])
def test_a_track_is_looked_at_anew_when_its_name_has_run_out(batch: int) -> None:
    stage = Classify(device="cpu", backend="torch", hold=1.0, batch=batch)
    every = [
        d.probabilities for f in Classify(device="cpu", backend="torch")(Channel.of(sights(25))) for d in f.detections
    ]
    done = [frame.detections[0] for frame in stage(Channel.of(sights(25)))]
    assert stage.counts == {"looked at": 3, "known": 22}
    for index, d in enumerate(done):
        assert d.probabilities == pytest.approx(every[index - index % 10], abs=1e-5)
        assert (d.label, d.label_score) == d.ranked[0] == done[index - index % 10].ranked[0]


def test_an_object_that_changes_its_size_is_looked_at() -> None:
    frames = sights(10)
    for frame in frames[4:]:
        frame.detections[0].box = (0, 0, 20, 30)
    stage = Classify(device="cpu", backend="torch", hold=10.0)
    list(stage(Channel.of(frames)))
    assert stage.counts == {"looked at": 2, "known": 8}


def test_what_has_no_track_is_always_looked_at_and_tracks_do_not_mix() -> None:
    mixed = [frame for trio in zip(sights(5), sights(5, track=2), sights(5, track=None), strict=True) for frame in trio]
    for index, frame in enumerate(mixed):
        frame.source = mixed[0].source
        frame.index = frame.pts = index
    stage = Classify(device="cpu", backend="torch", hold=10.0)
    list(stage(Channel.of(mixed)))
    assert stage.counts == {"looked at": 7, "known": 8}


def test_hold_without_tracks_says_that_it_did_nothing(caplog: pytest.LogCaptureFixture) -> None:
    list(Classify(device="cpu", backend="torch", hold=10.0)(Channel.of(sights(3))))
    assert caplog.records == []
    list(Classify(device="cpu", backend="torch", hold=10.0)(Channel.of(sights(3, track=None))))
    assert [record.getMessage() for record in caplog.records] == [
        "hold has no effect: no detection has a track; put track after the detector (--track)"
    ]


def test_the_clock_of_one_source_ends_no_name_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many names are known, those that have run out go: by their own source's clock."""
    monkeypatch.setattr(_names, "MANY", 2)
    names = Names(seconds=1.0)

    def wants(frame: Frame, track: int) -> bool:
        return names.wants(frame, Detection((0, 0, 9, 9), track=track))

    early, late = ([*make_frames(40, make_source(name, rate=10))] for name in "ab")
    assert all([wants(early[0], 1), wants(late[30], 1), wants(late[30], 2)])
    assert wants(late[39], 3)
    assert not wants(early[1], 1)
    assert wants(late[39], 4)  # of `late`, none has run out
    assert len(names._latest) == 5
    assert wants(early[39], 2)
    assert len(names._latest) == 5  # as the first of `early` has


def test_hold_is_checked() -> None:
    with pytest.raises(UsageError, match="hold must be"):
        Classify(hold=-1.0)
