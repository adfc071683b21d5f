from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.stages import Track
from vidclf.stages.yolo import nearest_box


def walkers(source: Source, count: int, step: int = 2) -> list[Frame]:
    """Two objects that walk towards each other on different heights; the list's order alternates."""
    frames = list(make_frames(count, source))
    for frame in frames:
        at = frame.index * step
        pair = [Detection((at, 0, at + 20, 40)), Detection((200 - at, 60, 220 - at, 100))]
        frame.detections = pair if frame.index % 2 else pair[::-1]
    return frames


def upper(frame: Frame) -> Detection:
    return min(frame.detections, key=lambda d: d.box[1])


@pytest.mark.parametrize("method", ["bytetrack", "ocsort"])
def test_an_object_keeps_its_number(method: str) -> None:
    frames = list(Track(method=method)(walkers(make_source(size=(240, 120)), 20)))  # type: ignore[arg-type]
    numbers = {upper(frame).track for frame in frames[3:]}
    assert len(numbers) == 1
    assert None not in numbers
    assert {d.track for frame in frames[3:] for d in frame.detections} > numbers


def test_an_object_that_was_out_of_sight_keeps_its_number_until_it_is_lost() -> None:
    def number_after(gap: int) -> tuple[int | None, int | None]:
        frames = walkers(make_source(size=(240, 120), rate=10), 40, step=0)
        for frame in frames[10 : 10 + gap]:
            frame.detections = []
        done = list(Track(lost=1.0)(frames))
        return upper(done[9]).track, upper(done[-1]).track

    before, after = number_after(gap=5)
    assert before == after
    before, after = number_after(gap=20)
    assert before != after


@pytest.mark.parametrize("method", ["bytetrack", "ocsort"])
@pytest.mark.parametrize(("lost", "seconds"), [(2.0, 3), (0.0, 1), (0.0, Fraction(1, 25))])
def test_pictures_further_apart_than_an_object_may_be_lost_give_numbers(
    method: str, lost: float, seconds: Fraction | int
) -> None:
    """No object ever got one: every track was over before the next picture."""
    source = make_source(size=(240, 120))
    source.time_base = Fraction(seconds)
    frames = list(Track(method=method, lost=lost)(walkers(source, 10, step=0)))  # type: ignore[arg-type]
    assert len({upper(frame).track for frame in frames[3:]} - {None}) == 1
    assert upper(frames[-1]).track is not None


def test_how_much_of_its_box_an_object_fills_does_not_matter() -> None:
    """A bicycle or a pole never got a number."""
    frames = walkers(make_source(size=(240, 120)), 10)
    for frame in frames:
        frame.detections = [Detection(d.box, 0.2, "motion") for d in frame.detections]
    assert upper(list(Track()(frames))[-1]).track is not None


def test_sources_have_numbers_of_their_own() -> None:
    one, two = (walkers(make_source(name, (240, 120)), 10) for name in "ab")
    mixed = [frame for pair in zip(one, two, strict=True) for frame in pair]
    done = list(Track()(mixed))
    assert {d.track for d in done[-1].detections} == {d.track for d in done[-2].detections}


def test_frames_without_detections_pass() -> None:
    assert [frame.index for frame in Track()(make_frames(3))] == [0, 1, 2]


def test_what_takes_long_is_done_before_the_first_frame_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import trackers

    done: list[str] = []
    original = trackers.ByteTrackTracker

    def make(**options: Any) -> Any:
        done.append("tracker")
        return original(**options)

    def frames() -> Iterator[Frame]:
        done.append("frame")
        yield from make_frames(1)

    monkeypatch.setattr(trackers, "ByteTrackTracker", make)
    assert len(list(Track()(frames()))) == 1
    assert done == ["tracker", "frame", "tracker"]


@pytest.mark.parametrize(
    "option", [{"lost": -1.0}, {"confidence": 1.5}, {"overlap": -1.1}, {"frames": 0}, {"method": "sort"}]
)
def test_options_are_checked(option: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(option))} must be .*, got "):
        Track(**option)


def test_a_frame_that_the_detector_was_spared_is_no_loss_of_sight() -> None:
    frames = walkers(make_source(size=(240, 120), rate=10), 60, step=0)
    for frame in frames:
        if frame.index % 6:
            frame.skip, frame.detections = "between", []
    numbers = {upper(frame).track for frame in Track(lost=1.0)(frames) if not frame.skip and frame.index}
    assert len(numbers) == 1
    assert None not in numbers


def pets(shared: Path, every: int) -> list[Frame]:
    """PETS09-S2L1 as a perfect detector would see it on every so many-th frame; the kind is the true identity."""
    source = make_source("pets", (480, 360), rate=10)
    rows = list(csv.DictReader((shared / "people" / "PETS09-S2L1" / "gt_480x360.csv").read_text().splitlines()))
    frames = [Frame(source, i, i, np.zeros((1, 1, 3), np.uint8)) for i in range(795)]
    for row in rows:
        frame = frames[int(row["frame"]) - 1]
        x, y, w, h = (float(row[name]) for name in "xywh")
        if box := nearest_box(x, y, x + w, y + h, 480, 360):
            frame.detections.append(Detection(box, 0.9, row["id"]))
    for frame in frames:
        if frame.index % every:
            frame.skip, frame.detections = "between", []
    return frames


@pytest.mark.parametrize(("every", "least"), [(1, 0.9), (4, 0.75)])
def test_people_on_a_real_clip_keep_their_numbers(shared: Path, every: int, least: float) -> None:
    """The share of sights whose number is its person's own most frequent one, where no two people share one."""
    sights = Counter((d.kind, d.track) for f in Track()(pets(shared, every)) for d in f.detections)
    from scipy.optimize import linear_sum_assignment

    people, tracks = sorted({p for p, _ in sights}), sorted({t for _, t in sights if t is not None})
    table = np.array([[sights[person, track] for track in tracks] for person in people])
    kept = table[linear_sum_assignment(table, maximize=True)].sum()
    assert kept / sights.total() > least


def test_a_repeated_frame_is_no_second_sighting(recwarn: pytest.WarningsRecorder) -> None:
    frames = walkers(make_source(size=(240, 120)), 5)
    done = list(Track()(frame for frame in frames for _ in range(2)))
    assert [upper(frame).track is None for frame in done] == [True, True] + [False] * 8
    assert not recwarn.list
