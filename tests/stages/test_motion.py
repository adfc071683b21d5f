from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.frames import make_source
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.frame import Box, Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.stages import Capture, Motion

SIZE = (320, 180)
every_method = pytest.mark.parametrize("method", ["mog2", "knn", "reference"])


def wall(size: tuple[int, int] = SIZE) -> np.ndarray:
    """A textured background, (height, width, 3) float."""
    width, height = size
    coarse = np.random.default_rng(1).normal(90, 20, (height // 12, width // 12, 3))
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def scene(
    count: int,
    boxes: Callable[[int], list[Box]],
    light: Callable[[int], float] = lambda _: 1,
    source: Source | None = None,
    size: tuple[int, int] = SIZE,
) -> list[Frame]:
    """Frames of light boxes before a wall, with some noise as a camera has."""
    source, background = source or make_source(size=size), wall(size)
    noise = np.random.default_rng(2).normal(0, 2, background.shape)
    frames = []
    for index in range(count):
        image = background.copy()
        for x0, y0, x1, y1 in boxes(index):
            image[max(0, y0) : y1, max(0, x0) : x1] = 190
        image = image * light(index) + np.roll(noise, 7919 * index)
        frames.append(Frame(source, index, index, np.clip(image, 0, 255).astype(np.uint8)))
    return frames


def walk(index: int) -> list[Box]:
    """One box that comes in at the left, 3 pixels a frame."""
    x = 3 * index - 78
    return [(x, 60, x + 36, 120)] if -36 < x < SIZE[0] else []


def overlap(a: Box, b: Box) -> float:
    inner = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    return inner / (sum(areas) - inner)


def found(frames: Iterable[Frame], **options: object) -> list[list[Box]]:
    stage = Motion(**options)  # type: ignore[arg-type]
    return [[d.box for d in frame.detections] for frame in stage(Channel.of(frames))]


def pictures(*images: np.ndarray) -> list[Frame]:
    source = make_source(size=images[0].shape[1::-1])
    return [Frame(source, index, index, image) for index, image in enumerate(images)]


def square_on_black(height: int = 480, width: int = 640) -> list[Frame]:
    """The predecessor's golden case: an empty reference, then a white square of 50x51 pixels at x = y = 100."""
    black, square = (np.zeros((height, width, 3), np.uint8) for _ in range(2))
    square[100:150, 100:151] = 255
    return pictures(black, square)


@pytest.mark.parametrize(
    "options", [{}, {"adapt": 0.0, "merge": 0.0, "max_objects": 1, "min_area": 2500 / (640 * 480)}]
)
def test_reference_gives_the_golden_case(options: dict) -> None:
    _, frame = Motion("reference", **options)(Channel.of(square_on_black()))
    (d,) = frame.detections
    x0, y0, x1, y1 = d.box
    assert (x0, y0, x1 - x0, y1 - y0) == (97, 97, 57, 56)
    assert d.kind == "motion"
    assert d.mask is not None
    assert d.mask.shape == (56, 57)
    assert d.mask.dtype == bool
    assert d.score == pytest.approx(d.mask.mean())
    assert d.score > 0.95


@pytest.mark.parametrize("method", ["mog2", "reference"])
def test_what_is_not_held_is_learned(method: str) -> None:
    """With hold 0 it was held for ever."""
    options = {"method": method, "hold": 0, "history": 10, "adapt": 0.2}
    boxes = found(scene(60, lambda index: [(100, 50, 160, 110)] if index else []), **options)
    assert boxes[1] and not boxes[-1]


def test_a_reference_that_never_changes_is_not_replaced_by_a_hand_before_the_camera() -> None:
    black, hand, square = (np.zeros((480, 640, 3), np.uint8) for _ in range(3))
    hand[:400] = 255
    square[100:150, 100:150] = 255
    boxes = found(pictures(black, hand, square), method="reference", adapt=0.0)
    assert [len(each) for each in boxes] == [0, 1, 1]
    assert boxes[2][0][2] < 200


def test_what_is_smaller_than_min_area_is_left_out() -> None:
    assert found(square_on_black(), method="reference", min_area=3000 / (640 * 480))[1]
    assert not found(square_on_black(), method="reference", min_area=3500 / (640 * 480))[1]


@every_method
def test_a_moving_box_is_found_tightly_and_nothing_else(method: str) -> None:
    boxes = found(scene(118, walk), method=method)
    assert boxes[0] == []  # the first frame is learned
    for index in range(38, 118):  # from when it is in sight entirely
        assert len(boxes[index]) == 1
        assert overlap(boxes[index][0], walk(index)[0]) > (0.8 if method == "reference" else 0.9)
    assert not any(boxes[:15])  # no ghosts while there is nothing to see


@every_method
def test_the_mask_is_the_object(method: str) -> None:
    frames = list(Motion(method)(Channel.of(scene(50, walk))))  # type: ignore[arg-type]
    (d,) = frames[-1].detections
    assert d.mask is not None
    x0, y0, x1, y1 = d.box
    assert d.mask.shape == (y1 - y0, x1 - x0)
    light = frames[-1].image[y0:y1, x0:x1].mean(axis=2) > 160
    assert (light & d.mask).sum() > 0.98 * light.sum()
    assert 0.8 < d.score <= 1


def test_several_objects_the_largest_first() -> None:
    def two(index: int) -> list[Box]:
        return [(10, 20 + 2 * index, 40, 50 + 2 * index), (200, 20 + 2 * index, 260, 80 + 2 * index)] if index else []

    boxes = found(scene(20, two))[-1]
    assert [overlap(a, b) > 0.9 for a, b in zip(boxes, reversed(two(19)), strict=True)] == [True, True]
    assert found(scene(20, two), max_objects=1)[-1] == boxes[:1]


def test_parts_above_each_other_are_one_object_and_neighbours_are_two() -> None:
    def parts(boxes: list[Box]) -> list[Box]:
        return found(scene(6, lambda index: boxes if index > 1 else []))[-1]

    assert parts([(100, 30, 130, 70), (100, 76, 130, 130)]) == [(100, 30, 130, 130)]  # a coat, and legs
    assert len(parts([(100, 30, 130, 130), (136, 30, 166, 130)])) == 2  # two people
    assert len(parts([(100, 10, 130, 60), (100, 110, 130, 170)])) == 2


@every_method
@pytest.mark.parametrize(
    "light",
    [lambda i: 1 - 0.6 * i / 120, lambda i: 1 + 0.2 * np.sin(i / 15), lambda i: 1.0 if i < 70 else 0.6],
    ids=["dusk", "clouds", "a lamp goes out"],
)
def test_the_light_may_change(method: str, light: Callable[[int], float]) -> None:
    boxes = found(scene(118, walk, light), method=method)
    assert not any(boxes[:15])  # before it comes in
    right = sum(len(boxes[i]) == 1 and overlap(boxes[i][0], walk(i)[0]) > 0.7 for i in range(38, 118))
    assert right >= 0.97 * 80


@every_method
def test_another_scene_is_learned_and_not_boxed(method: str) -> None:
    width, height = SIZE
    checks = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((30, 40)))[:height, :width, None] * [[[200, 90, 255]]]
    cut = [*scene(20, lambda _: []), *pictures(*[checks.astype(np.uint8)] * 20)]
    for frame in cut:
        frame.source = cut[0].source
    assert not any(found(cut, method=method))


@pytest.mark.parametrize("method", ["mog2", "reference"])
def test_what_stops_is_held_for_a_while_and_then_learned(method: str) -> None:
    def stops(index: int) -> list[Box]:
        return walk(min(index, 60))

    boxes = found(scene(240, stops), method=method, hold=80, history=100, adapt=0.05)
    assert all(len(boxes[i]) == 1 and overlap(boxes[i][0], stops(i)[0]) > 0.75 for i in range(60, 135))
    assert not any(boxes[200:])


@pytest.mark.parametrize("method", ["mog2", "reference"])
def test_what_left_its_place_leaves_no_ghost(method: str) -> None:
    """It stood there in the first frame, so it was learned as background."""

    def leaves(index: int) -> list[Box]:
        x = 100 + 4 * max(0, index - 10)
        return [(x, 60, x + 36, 120)] if x < SIZE[0] else []

    boxes = found(scene(90, leaves), method=method)
    assert all(len(boxes[i]) == 1 and overlap(boxes[i][0], leaves(i)[0]) > 0.75 for i in range(25, 50))
    assert not any(boxes[70:])


def test_sources_do_not_mix() -> None:
    dark, light = make_source("dark", SIZE), make_source("light", SIZE)
    ones, others = scene(60, walk, source=dark), scene(60, lambda _: [], lambda _: 2, source=light)
    both = [frame for pair in zip(ones, others, strict=True) for frame in pair]
    boxes = found(both)
    assert boxes[0::2] == found(scene(60, walk))
    assert not any(boxes[1::2])


def test_nothing_is_left_of_an_earlier_run() -> None:
    stage = Motion()
    runs = [[[d.box for d in f.detections] for f in stage(Channel.of(scene(60, walk)))] for _ in range(2)]
    assert runs[0] == runs[1]
    assert any(runs[0])


@every_method
def test_relearn_takes_the_next_frame_as_background(method: str) -> None:
    stage = Motion(method)  # type: ignore[arg-type]
    boxes = []
    for frame in stage(iter(scene(20, lambda i: [(100, 60, 140, 120)] if i > 4 else []))):
        boxes.append(len(frame.detections))
        if frame.index == 6:
            stage.relearn()
    assert boxes[5:7] == [1, 1]
    assert boxes[7:] == [0] * 13


def test_a_large_picture_is_searched_in_a_small_copy() -> None:
    def box(index: int) -> list[Box]:
        return [(200 + 20 * index, 300, 500 + 20 * index, 800)] if index else []

    *_, frame = Motion()(Channel.of(scene(6, box, size=(1920, 1080))))
    (d,) = frame.detections
    assert np.abs(np.subtract(d.box, box(5)[0])).max() <= 4
    assert d.mask is not None
    assert d.mask.shape == (d.box[3] - d.box[1], d.box[2] - d.box[0])


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (5, 300), (3000, 4)])
@every_method
def test_odd_sizes_do_no_harm(method: str, size: tuple[int, int]) -> None:
    dice = np.random.default_rng(3)
    images = [dice.integers(0, 255, (size[1], size[0], 3), np.uint8) for _ in range(4)]
    for frame in Motion(method)(Channel.of(pictures(*images))):  # type: ignore[arg-type]
        for x0, y0, x1, y1 in (d.box for d in frame.detections):
            assert 0 <= x0 < x1 <= size[0]
            assert 0 <= y0 < y1 <= size[1]


def test_frames_of_another_size_are_learned_anew() -> None:
    frames = [*scene(10, lambda _: []), *scene(10, lambda _: [], size=(160, 90))]
    for frame in frames:
        frame.source = frames[0].source
    assert not any(found(frames))


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"method": "mog"}, "method must be one of mog2, knn, reference, got 'mog'"),
        ({"min_area": 0}, "min_area must be between 0 and 1 .*, got 0"),
        ({"max_objects": 0}, "max_objects must be at least 1"),
        ({"history": 0}, "history must be 1 to 1000000 frames, got 0"),
        ({"history": 3_000_000_000}, "history must be 1 to 1000000 frames"),
        ({"threshold": -1.0}, "threshold must be above 0"),
        ({"threshold": float("nan")}, "threshold must be above 0"),
        ({"hold": -1}, "hold must be 0 to 1000000 frames, got -1"),
        ({"hold": 3_000_000_000}, "hold must be 0 to 1000000 frames"),
        ({"adapt": 1.5}, "adapt must be 0 to 1"),
        ({"merge": -0.1}, "merge must be 0 to 1"),
        ({"width": 8}, "width must be 32 to 100000 pixels, got 8"),
        ({"width": 10**30}, "width must be 32 to 100000 pixels"),
    ],
)
def test_options_are_checked(option: dict, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Motion(**option)


def test_a_person_who_crosses_a_room_is_one_box(shared: Path) -> None:
    """A real camera: its exposure changes as she comes in, and she stands still for ten seconds."""
    counts = {}

    def watch(frame: Frame) -> None:
        counts[frame.index] = [d.box for d in frame.detections]

    clip = str(shared / "clips/intel_one_by_one_768x432.mp4")
    Pipeline([Capture(clip, max_frames=185), Motion()]).run(watch=watch)
    assert not any(counts[index] for index in range(55))
    seen = [index for index in range(75, 180) if len(counts[index]) == 1]
    assert len(seen) >= 100
    assert all(y1 - y0 > 300 for index in seen for _, y0, _, y1 in counts[index])
