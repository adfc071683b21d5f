from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.cli.assemble import RunOptions, assemble
from vidclf.frame import Detection, Frame, Skip, Source
from vidclf.pipeline import Pipeline
from vidclf.records import read_record, read_truth
from vidclf.resources import shipped
from vidclf.scoring import compare
from vidclf.stages import Gate, Interpolate, Track, interpolate


def marked(marks: str, source: Source | None = None) -> list[Frame]:
    """Frames as `gate` marks them: s searched, b between, r still (at rest)."""
    skips: dict[str, Skip] = {"s": "", "b": "between", "r": "still"}
    frames = list(make_frames(len(marks), source or make_source(size=(640, 480))))
    for frame, mark in zip(frames, marks, strict=True):
        frame.skip = skips[mark]
    return frames


def seen(frame: Frame, *objects: tuple[int | None, int]) -> None:
    """Objects, each by its track and the left edge of its box."""
    frame.detections = [Detection((x, 100, x + 20, 140), 0.8, "person", track=track) for track, x in objects]


def lefts(frames: list[Frame], track: int | None) -> list[int | None]:
    boxes = [[d.box[0] for d in frame.detections if d.track == track] for frame in frames]
    return [found[0] if found else None for found in boxes]


def test_between_two_sights_an_object_moves_in_a_straight_line() -> None:
    frames = marked("sbbbs")
    seen(frames[0], (7, 100))
    seen(frames[4], (7, 140))
    done = list(Interpolate()(frames))
    assert [frame.index for frame in done] == [0, 1, 2, 3, 4]
    assert lefts(done, 7) == [100, 110, 120, 130, 140]
    assert {(d.kind, d.score, d.box[2] - d.box[0]) for frame in done for d in frame.detections} == {("person", 0.8, 20)}


def test_an_object_that_changes_its_size_keeps_its_mask() -> None:
    """It had one only in a box of the size at an end, and the classifier saw what was behind the object."""
    frames = marked("sbbs")
    for frame, size in ((frames[0], 20), (frames[3], 50)):
        mask = np.zeros((size, size), bool)
        mask[: size // 2] = True
        frame.detections = [Detection((0, 0, size, size), mask=mask, track=1)]
    masks = [frame.detections[0].mask for frame in Interpolate()(frames)]
    assert [mask.shape for mask in masks if mask is not None] == [(20, 20), (30, 30), (40, 40), (50, 50)]
    for mask in masks:
        assert mask is not None and mask[0].all() and not mask[-1].any()
        assert mask.mean() == pytest.approx(0.5, abs=0.05)


def test_a_detector_that_searches_what_it_should_skip_gives_no_object_twice() -> None:
    frames = marked("sbsr")
    for frame in frames:
        seen(frame, (7, 100))
    assert [len(frame.detections) for frame in Interpolate()(frames)] == [1, 1, 1, 1]


@pytest.mark.filterwarnings("ignore")
def test_labels_are_as_good_though_few_frames_are_searched(tmp_path: Path) -> None:
    """Box accuracy fell from 95 to 72 %, with `motion`, whose objects have masks."""
    sample = shipped("samples") / "wardrobe.mp4"
    truth = [row for row in read_truth(sample.with_suffix(".truth.jsonl")) if row.frame < 120]
    accuracy = []
    for every in (None, "3"):
        record = tmp_path / f"{every}.jsonl"
        options = RunOptions(track=True, detect_every=every, max_frames=120, settings=("classify.precision=f32",))
        Pipeline([item.create() for item in assemble(options, str(sample), None, record)]).run()
        accuracy.append(compare(read_record(record)[str(sample)], truth).box_accuracy)
    assert accuracy[1] > accuracy[0] - 0.03


def test_it_goes_by_the_time_of_the_frames_not_by_their_number() -> None:
    frames = marked("sbs")
    frames[1].pts, frames[2].pts = 1, 10
    seen(frames[0], (7, 100))
    seen(frames[2], (7, 200))
    assert lefts(list(Interpolate()(frames)), 7) == [100, 110, 200]


def test_an_object_seen_at_one_end_only_fills_half_the_gap() -> None:
    frames = marked("sbbbbs")
    seen(frames[0], (1, 100), (None, 300))
    seen(frames[5], (2, 200))
    done = list(Interpolate()(frames))
    assert lefts(done, 1) == [100, 100, 100, None, None, None]
    assert lefts(done, None) == [300, 300, 300, None, None, None]
    assert lefts(done, 2) == [None, None, None, 200, 200, 200]


def test_places_in_a_larger_picture_are_none_in_the_frames_before_it() -> None:
    """A camera that changed to larger pictures ended the run: crops were cut outside the frames between."""
    frames = marked("sbbs")
    seen(frames[0], (7, 100))
    seen(frames[3], (7, 1200))
    frames[3].image = np.zeros((960, 1280, 3), np.uint8)
    assert lefts(list(Interpolate()(frames)), 7) == [100, 100, 100, 1200]


def test_a_still_frame_gets_the_last_detections_at_once() -> None:
    frames = marked("srbrs")
    seen(frames[0], (7, 100))
    given = []
    stream = Interpolate()(iter(frames))
    for _ in range(2):
        given.append(next(stream))
    assert lefts(given, 7) == [100, 100]
    assert lefts(list(stream), 7) == [100, 100, None]
    assert frames[1].detections[0] is not frames[0].detections[0]


def test_what_the_end_leaves_open_keeps_what_is_known() -> None:
    frames = marked("sbb")
    seen(frames[0], (7, 100))
    assert lefts(list(Interpolate()(frames)), 7) == [100, 100, 100]


def test_sources_do_not_mix() -> None:
    one, two = (marked("sbs", make_source(name, (640, 480))) for name in "ab")
    for frames, x in ((one, 100), (two, 300)):
        seen(frames[0], (1, x))
        seen(frames[2], (1, x + 20))
    done = list(Interpolate()(frame for pair in zip(one, two, strict=True) for frame in pair))
    assert lefts([frame for frame in done if frame.source is one[0].source], 1) == [100, 110, 120]
    assert lefts([frame for frame in done if frame.source is two[0].source], 1) == [300, 310, 320]


@pytest.mark.parametrize("every", [1, 3, 5])
def test_a_walker_is_found_on_every_frame_though_few_are_searched(every: int) -> None:
    """The stages together, with a detector that knows the truth and looks only where it has to."""
    looks = []

    def detector(frames: object) -> object:
        for frame in frames:  # type: ignore[attr-defined]
            if not frame.skip:
                looks.append(frame.index)
                x = 20 + 6 * frame.index
                frame.detections = [Detection((x, 100, x + 40, 200), 0.9, "person")]
            yield frame

    frames = make_frames(61, make_source(size=(640, 480)))
    done = list(Interpolate()(Track()(detector(Gate(every=every)(frames)))))  # type: ignore[arg-type]
    assert looks == list(range(0, 61, every))
    boxes = np.array([frame.detections[0].box for frame in done])
    late = slice(every, None)  # from the second sight on there is a track
    assert np.abs(boxes[late, 0] - (20 + 6 * np.arange(61))[late]).max() <= 1
    assert {d.track for frame in done[2 * every :] for d in frame.detections} == {0}


def test_pictures_that_wait_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = marked("s" + "b" * 20 + "s")
    monkeypatch.setattr(interpolate, "MOST_BYTES", 3 * frames[0].image.nbytes)
    taken = most = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    for given, _ in enumerate(Interpolate()(source())):
        most = max(most, taken - given)
    assert given == 21
    assert most == 4


def camera(marks: str, apart: float, size: tuple[int, int] = (640, 480)) -> Iterator[Frame]:
    """Marked frames of a live source that come this many seconds apart."""
    source = make_source(size=size)
    source.live = True
    source.time_base = Fraction(apart).limit_denominator(1000)
    for frame in marked(marks, source):
        sleep(apart)
        yield frame


@pytest.mark.parametrize("size", [(640, 480), (3840, 2160)], ids=["all fit into a channel", "one does"])
@pytest.mark.parametrize("marks", ["s" + "bbbbs" * 6, "s" + "bbbbbbs" * 3 + "b" * 10], ids=["searched", "cut short"])
def test_a_gap_of_a_live_source_goes_by_as_it_came(size: tuple[int, int], marks: str) -> None:
    """In a burst, most of it was dropped as late: 27 of 40 frames at 1920x1080, 22 of 41 at 3840x2160."""
    stats = Pipeline([lambda _: camera(marks, 0.02, size), Interpolate(), lambda frames: frames]).run()
    assert stats["ledger"]["finished"] >= 0.9 * len(marks)


def test_frames_of_a_live_source_are_apart_even_at_the_end() -> None:
    gone = [(frame.index, perf_counter()) for frame in Interpolate()(camera("sbbbbs" + "b" * 5, 0.04))]
    assert [index for index, _ in gone] == list(range(11))
    assert min(after - before for (_, before), (_, after) in pairwise(gone)) > 0.015


def test_the_last_frames_of_a_lost_camera_do_not_wait_for_its_return() -> None:
    source, channel = make_source(size=(640, 480)), Channel(64)
    source.live = True
    frames = marked("sbb", source)
    seen(frames[0], (7, 100))
    for frame in frames:
        channel.put(frame)
    stream = Interpolate()(channel)
    done = [next(stream)]
    source.state = "reconnecting"
    done += [next(stream), next(stream)]  # would wait for ever
    assert [frame.index for frame in done] == [0, 1, 2]
    assert lefts(done, 7) == [100, 100, 100]


def test_a_narrow_object_keeps_a_pixel() -> None:
    """(1, 0, 2, 5) and (2, 0, 3, 5): both edges between them round to 2."""
    frames = marked("sbs")
    for frame, x in ((frames[0], 1), (frames[2], 2)):
        frame.detections = [Detection((x, 0, x + 1, 5), 0.8, "person", track=1)]
    between = list(Interpolate()(frames))[1]
    assert [d.box for d in between.detections] == [(2, 0, 3, 5)]
