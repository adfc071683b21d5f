from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.stages import Smooth

NAMES = ("Coat", "Shirt", "Bag")


def named(shirts: list[float], source: Source | None = None, track: int | None = 1) -> list[Frame]:
    """Frames with one detection, that is a shirt with this probability, and else a coat."""
    frames = list(make_frames(len(shirts), source or make_source(rate=10)))
    for frame, shirt in zip(frames, shirts, strict=True):
        p = np.array([0.98 - shirt, shirt, 0.02], np.float32)
        ranked = [(NAMES[i], float(p[i])) for i in np.argsort(-p)]
        d = Detection((0, 0, 9, 9), track=track, probabilities=p, ranked=ranked)
        d.label, d.label_score = ranked[0]
        frame.detections = [d]
    return frames


def labels(frames: Any) -> list[str]:
    return [frame.detections[0].label for frame in frames]


def test_a_single_odd_picture_changes_nothing() -> None:
    shirts = [0.2] * 10 + [0.9] + [0.2] * 10
    assert set(labels(Smooth(seconds=1.0)(named(shirts)))) == {"Coat"}
    assert set(labels(named(shirts))) == {"Coat", "Shirt"}


def test_what_lasts_is_believed() -> None:
    done = labels(Smooth(seconds=1.0)(named([0.1] * 20 + [0.9] * 20)))
    change = done.index("Shirt")
    assert done == ["Coat"] * change + ["Shirt"] * (40 - change)
    assert 25 <= change <= 30  # ten frames are a time constant


def test_two_classes_that_are_close_do_not_take_turns() -> None:
    shirts = [0.45, 0.53] * 20
    assert len(set(labels(Smooth(seconds=0.2, margin=0.1)(named(shirts))))) == 1
    assert len(set(labels(Smooth(seconds=0.2, margin=0.0)(named(shirts))))) == 2


def test_probabilities_and_ranking_are_the_average() -> None:
    *_, last = Smooth(seconds=1000.0, margin=0.0)(named([0.2, 0.6]))
    (d,) = last.detections
    assert d.probabilities is not None
    assert d.probabilities.dtype == np.float32
    assert d.probabilities == pytest.approx([0.58, 0.40, 0.02], abs=1e-3)
    assert d.ranked == [
        (name, pytest.approx(p, abs=1e-3)) for name, p in (("Coat", 0.58), ("Shirt", 0.4), ("Bag", 0.02))
    ]
    assert (d.label, d.label_score) == d.ranked[0]
    assert labels(Smooth(abstain=0.9)(named([0.2]))) == [""]


def test_time_counts_not_frames() -> None:
    frames = named([0.1, 0.9])
    frames[1].pts = 1000
    assert labels(Smooth(seconds=1.0)(frames)) == ["Coat", "Shirt"]


def test_tracks_and_sources_do_not_mix() -> None:
    one, two = named([0.1] * 3, make_source("a")), named([0.9] * 3, make_source("b"))
    mixed = [frame for pair in zip(one, two, strict=True) for frame in pair]
    assert labels(Smooth()(mixed)) == ["Coat", "Shirt"] * 3
    other = named([0.1, 0.9])
    other[1].detections[0].track = 2
    assert labels(Smooth()(other)) == ["Coat", "Shirt"]


def test_without_tracks_it_does_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vidclf"):
        assert labels(Smooth()(named([0.1, 0.9], track=None))) == ["Coat", "Shirt"]
    assert [record.getMessage() for record in caplog.records] == [
        "smooth has no effect: no detection has a track; put track after the detector (--track)"
    ]


@pytest.mark.parametrize("option", [{"seconds": 0.0}, {"margin": 1.5}, {"abstain": -0.1}])
def test_options_are_checked(option: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(option))} must be .*got "):
        Smooth(**option)
