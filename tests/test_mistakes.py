"""What a newcomer gives for a stage, and is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.frames import Frames, make_frames, make_source
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline
from vidclf.trace import Trace


class Blur:
    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from frames


class Reader:
    """A stage that is made with the frames: the class itself can be called with them."""

    def __init__(self, frames: Iterable[Frame]):
        self.frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("motion", "a pipeline needs a list of stages, got 'motion'; use load_pipeline for a pipeline file"),
        (Frames(1), "a pipeline needs a list of stages, got a Frames"),
        ([Frames(1), Blur], "item 2 of the pipeline is the class Blur; use an object: Blur(...)"),
        ([Frames], "item 1 of the pipeline is the class Frames; use an object: Frames(...)"),
        (
            ["in.mp4", Blur()],
            "item 1 of the pipeline is 'in.mp4', which is not a stage: "
            "use an object, like Capture('in.mp4') or Motion()",
        ),
        (
            [[Frames(1), "in.mp4"], Blur()],
            "item 1 of the pipeline is 'in.mp4', which is not a stage: "
            "use an object, like Capture('in.mp4') or Motion()",
        ),
        (
            [Frames(1), Blur()(make_frames(1))],
            "item 2 of the pipeline is a generator, which is not a stage: pass the function itself, without calling it",
        ),
        ([Frames(1), None], "item 2 of the pipeline is None, which is not a stage: it cannot be called"),
        ([Frames(1), {}], "item 2 of the pipeline is a dict, which is not a stage: it cannot be called"),
    ],
)
def test_what_is_no_stage_is_refused_before_the_run(stages: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Pipeline(stages)
    assert str(caught.value) == message


def test_a_path_is_no_list_of_stages() -> None:
    with pytest.raises(
        TypeError, match=r"^a pipeline needs a list of stages, got \w*Path\('mine.yaml'\); use load_pipeline"
    ):
        Pipeline(Path("mine.yaml"))  # type: ignore[arg-type]


def test_what_can_be_called_with_frames_is_a_stage_whatever_it_is() -> None:
    assert Pipeline([Frames(3), Reader, lambda frames: frames, list]).run()["ledger"]["finished"] == 3
    assert Pipeline(stage for stage in (Frames(3), Blur())).run()["ledger"]["finished"] == 3  # type: ignore[arg-type]


def of_one_frame(frame: Frame) -> Iterator[Frame]:
    frame.image[:] = 0
    yield frame


def of_one_frame_at_once(frame: Frame) -> Frame:
    frame.image[:] = 0
    return frame


def by_index(frames: Any) -> Iterator[Frame]:
    yield frames[0]


def returns_none(frames: Iterable[Frame]) -> None:
    for _ in frames:
        pass


def returns_a_frame(_: object) -> Frame:
    return next(make_frames(1))


def yields_nothing(frames: Iterable[Frame]) -> Iterator[None]:
    for _ in frames:
        yield None


def yields_groups(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    yield [*frames]


def yields_pictures(frames: Iterable[Frame]) -> Iterator[Any]:
    yield from (frame.image for frame in frames)


def yields_texts(_: object) -> Iterator[str]:
    yield "frame"


def makes_grey(frames: Iterable[Frame]) -> Iterator[Frame]:
    for frame in frames:
        frame.image = frame.image[:, :, 0]
        yield frame


def makes_floats(frames: Iterable[Frame]) -> Iterator[Frame]:
    for frame in frames:
        frame.image = frame.image / 255
        yield frame


PICTURE = "a frame's image must be (height, width, 3) uint8, in BGR"
USE = "a stage takes an iterable of frames and yields frames"
NOT_ONE = f"{USE}, and does not take a single frame"


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("place", ["in the middle", "last"])
@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (of_one_frame, f"stage 'of_one_frame': '{{}}' object has no attribute 'image'; {NOT_ONE}"),
        (of_one_frame_at_once, f"stage 'of_one_frame_at_once': '{{}}' object has no attribute 'image'; {NOT_ONE}"),
        (by_index, f"stage 'by_index': '{{}}' object is not subscriptable; {NOT_ONE}"),
        (returns_none, f"stage 'returns_none' returned None; {USE}"),
        (returns_a_frame, f"stage 'returns_a_frame' returned a Frame; {USE}"),
        (yields_nothing, f"stage 'yields_nothing' yielded None, which is not a Frame; {USE}"),
        (yields_groups, f"stage 'yields_groups' yielded a list, which is not a Frame; {USE}"),
        (makes_grey, f"stage 'makes_grey': {PICTURE}; got (24, 32) uint8"),
        (makes_floats, f"stage 'makes_floats': {PICTURE}; got (24, 32, 3) float64"),
        (yields_pictures, f"stage 'yields_pictures' yielded a ndarray, which is not a Frame; {USE}"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_stage_does_not_do_is_told_with_its_name(stage: Any, message: str, place: str, traced: bool) -> None:
    stages = [Frames(5), stage] if place == "last" else [Frames(5), stage, Blur()]
    with pytest.raises(TypeError) as caught:
        Pipeline(stages).run(trace=Trace() if traced else None)
    assert str(caught.value) == message.format("TracedMeter" if traced else "Meter")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (of_one_frame, f"stage 'of_one_frame': 'Channel' object has no attribute 'image'; {NOT_ONE}"),
        (yields_texts, f"stage 'yields_texts' yielded 'frame', which is not a Frame; {USE}"),
    ],
)
def test_a_source_is_told_the_same(source: Any, message: str) -> None:
    pipeline = Pipeline([source, Blur()])
    with pytest.raises(TypeError) as caught:
        pipeline.run()
    assert str(caught.value) == message
    assert pipeline.stats()["ledger"]["read"] == 0


def test_the_cause_of_the_error_stays_visible() -> None:
    with pytest.raises(TypeError) as caught:
        Pipeline([Frames(5), of_one_frame]).run()
    assert isinstance(caught.value.__cause__, AttributeError)
    assert caught.value.__notes__ == ["in stage 'of_one_frame'"]


def test_other_errors_of_a_stage_stay_what_they_are() -> None:
    class Odd:
        def __iter__(self) -> Iterator[Frame]:
            raise TypeError("of its own")

    def misspelt(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            frame.imgae  # type: ignore[attr-defined]  # noqa: B018
            yield frame

    with pytest.raises(TypeError, match="of its own"):
        Pipeline([Frames(5), lambda _: Odd()]).run()
    with pytest.raises(AttributeError, match="'Frame' object has no attribute 'imgae'"):
        Pipeline([Frames(5), misspelt]).run()


def test_a_source_may_have_nothing_yet() -> None:
    def slow(_: object) -> Iterator[Frame | None]:
        yield None
        yield from make_frames(2, make_source())

    assert Pipeline([slow, Blur()]).run()["ledger"]["finished"] == 2
