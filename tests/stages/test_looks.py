from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.frames import make_source
from vidclf.frame import Detection, Frame, Source
from vidclf.stages import Track
from vidclf.stages._looks import Looks, look

RED, BLUE = (40, 40, 200), (200, 60, 40)


def person(image: np.ndarray, x: int, y: int, colour: tuple[int, int, int]) -> Detection:
    """Draw someone of 20x60 pixels, with black trousers."""
    image[y : y + 30, x : x + 20] = colour
    image[y + 30 : y + 60, x : x + 20] = 0
    return Detection((x, y, x + 20, y + 60), 0.9, kind=str(colour))


def crossing(source: Source) -> list[Frame]:
    """Two people approach, stop, and cannot be seen for a moment: each is expected where the other one is."""
    frames = []
    for index in range(40):
        image = np.full((120, 300, 3), 128, np.uint8)
        frame = Frame(source, index, index, image)
        way = 4 * min(index, 16)
        if not 17 <= index <= 20:
            frame.detections = [person(image, 60 + way, 30, RED), person(image, 220 - way, 30, BLUE)]
        frames.append(frame)
    return frames


@pytest.mark.parametrize(("looks", "kept"), [(0.5, True), (0.0, False)])
def test_people_who_meet_are_told_apart_by_their_colours(looks: float, kept: bool) -> None:
    frames = list(Track(looks=looks, lost=2.0)(crossing(make_source(size=(300, 120), rate=10))))
    before, after = ({d.kind: d.track for d in frames[at].detections} for at in (16, 39))
    assert None not in before.values()
    assert (before == after) == kept


def test_a_known_object_comes_before_a_second_box_of_it() -> None:
    """A half-hidden person looks different and has two boxes: the next box is still hers."""
    source = make_source(size=(300, 120), rate=10)
    frames = []
    for index in range(12):
        image = np.full((120, 300, 3), 128, np.uint8)
        frame = Frame(source, index, index, image)
        frame.detections = [person(image, 50 + 4 * index, 30, RED)]
        if index >= 6:
            image[:, 70:] = 255  # behind something white
        if index == 6:
            x0, y0, x1, _ = frame.detections[0].box
            frame.detections.append(Detection((x0, y0, x1, y0 + 38), 0.5))
        frames.append(frame)
    numbers = {frame.detections[0].track for frame in Track()(frames) if frame.index >= 2}
    assert len(numbers) == 1


def test_a_look_is_the_colours_from_top_to_bottom() -> None:
    image = np.full((120, 300, 3), 128, np.uint8)
    box = person(image, 50, 30, RED).box
    top, second, third, bottom = look(image, box).reshape(4, 3)
    red = cv2.cvtColor(np.array([[RED]], np.uint8), cv2.COLOR_BGR2LAB)[0, 0]
    assert np.abs(top - red).max() <= 1
    assert np.abs(second - red).max() <= 1
    assert third[0] == bottom[0] == 0


def test_size_does_not_change_a_look() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 6)
    large = cv2.resize(image, (400, 600), interpolation=cv2.INTER_LINEAR)
    assert np.abs(look(image, (0, 0, 40, 60)) - look(large, (0, 0, 400, 600))).max() <= 3


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (5, 5, 6, 40), (400, 10, 420, 60)])
def test_boxes_without_a_middle_are_no_problem(box: tuple[int, int, int, int]) -> None:
    seen = look(np.zeros((120, 300, 3), np.uint8), box)
    assert seen.shape == (12,)
    assert np.isnan(seen).all() == (box[0] >= 300)


def test_what_is_lost_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Looks] = []
    original = Looks.__init__

    def remember(self: Looks, weight: float, least: float) -> None:
        original(self, weight, least)
        made.append(self)

    monkeypatch.setattr(Looks, "__init__", remember)
    source = make_source(size=(300, 120), rate=10)
    frames = []
    for index in range(300):  # someone new every ten frames
        image = np.full((120, 300, 3), 128, np.uint8)
        frame = Frame(source, index, index, image)
        frame.detections = [person(image, 280 * (index // 10 % 2), 30, RED)]
        frames.append(frame)
    numbers = {frame.detections[0].track for frame in Track(lost=0.3)(frames)}
    assert len(numbers - {None}) == 30
    assert len(made[-1]._remembered) <= 2


@pytest.mark.parametrize("method", ["bytetrack", "ocsort"])
@pytest.mark.parametrize("looks", [0.0, 0.5])
@pytest.mark.parametrize("colours", [1, 5])
def test_a_row_of_people_keeps_its_numbers_when_one_goes_and_another_comes(
    method: str, looks: float, colours: int
) -> None:
    """Giving each the number of the neighbour would match all of them, but only one of them moved."""
    paint = [RED, BLUE, (40, 200, 40), (200, 200, 40), (250, 250, 250), (20, 150, 220)]
    gap = 40 if method == "bytetrack" else 12
    source = make_source(size=(300, 120), rate=25)
    frames = []
    for index in range(20):
        image = np.full((120, 300, 3), 128, np.uint8)
        frame = Frame(source, index, index, image)
        for who in range(5) if index < 10 else range(1, 6):
            found = person(image, 20 + gap * who, 30, paint[who % colours])
            found.kind = str(who)
            frame.detections.append(found)
        frames.append(frame)
    done = list(Track(method=method, looks=looks)(frames))  # type: ignore[arg-type]
    before, after = ({d.kind: d.track for d in done[at].detections} for at in (9, 19))
    assert None not in before.values()
    assert all(after[who] == before[who] for who in "1234")


@pytest.mark.parametrize("looks", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("overlap", [0.1, 0.8])
def test_no_look_keeps_an_object_from_getting_a_number(looks: float, overlap: float) -> None:
    source = make_source(size=(300, 120), rate=25)
    frames = []
    for index in range(10):
        image = np.full((120, 300, 3), 128, np.uint8)
        frame = Frame(source, index, index, image)
        frame.detections = [person(image, 50, 30, RED)]
        frames.append(frame)
    numbers = [frame.detections[0].track for frame in Track(looks=looks, overlap=overlap)(frames)]
    assert numbers[1:] == [0] * 9
