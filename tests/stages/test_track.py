from __future__ import annotations

import pytest

from tests.frames import make_frames, make_source
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.stages import Track


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


def test_sources_have_numbers_of_their_own() -> None:
    one, two = (walkers(make_source(name, (240, 120)), 10) for name in "ab")
    mixed = [frame for pair in zip(one, two, strict=True) for frame in pair]
    done = list(Track()(mixed))
    assert {d.track for d in done[-1].detections} == {d.track for d in done[-2].detections}


def test_frames_without_detections_pass() -> None:
    assert [frame.index for frame in Track()(make_frames(3))] == [0, 1, 2]


@pytest.mark.parametrize("option", [{"lost": -1.0}, {"confidence": 1.5}, {"overlap": -1.1}, {"frames": 0}])
def test_options_are_checked(option: dict) -> None:
    with pytest.raises(UsageError):
        Track(**option)
