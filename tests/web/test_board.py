"""What the page remembers of frames: bounded in number, in rate and in size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from tests.frames import make_frames, make_source
from tests.web.conftest import Clock
from vidclf.frame import Detection, Frame
from vidclf.web.board import BINS, KEPT, LATEST, THUMBNAIL, Board


def numbers(board: Board, clock: Clock, seconds: float, wanted: bool) -> list[int]:
    """The pictures that a camera of 50 frames a second puts on the board."""
    (frame,) = make_frames(1, make_source(size=(128, 96)))
    seen = []
    for _ in range(round(seconds * 50)):
        if wanted and board.cameras:
            board.cameras[0].wanted = clock.now + 2
        board.show(frame)
        picture = board.cameras[0].picture
        assert picture is not None
        seen.append(picture.number)
        clock.now += 0.02
    return seen


def test_an_unwatched_camera_costs_a_picture_a_second(board: Board, clock: Clock) -> None:
    assert numbers(board, clock, 5, wanted=False)[-1] == pytest.approx(5, abs=1)


def test_a_watched_camera_keeps_the_rate_that_is_asked_for(board: Board, clock: Clock) -> None:
    assert numbers(board, clock, 5, wanted=True)[-1] == pytest.approx(50, abs=2)


def test_whoever_stops_reading_stops_asking(board: Board, clock: Clock) -> None:
    watched = numbers(board, clock, 2, wanted=True)[-1]
    assert numbers(board, clock, 10, wanted=False)[-1] - watched == pytest.approx(20 + 8, abs=3)


def test_a_picture_is_small_and_encoded_once(board: Board) -> None:
    (frame,) = make_frames(1, make_source(size=(640, 480)))
    board.show(frame)
    picture = board.cameras[0].picture
    assert picture is not None
    assert picture.jpeg is picture.jpeg
    assert cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)
    assert board.cameras[0].size == (640, 480)


def test_what_a_later_stage_draws_is_not_on_the_page(board: Board) -> None:
    (frame,) = make_frames(1, make_source(size=(32, 24)))
    frame.detections = [Detection((0, 0, 8, 8), crop=np.zeros((28, 28), np.uint8))]
    board.show(frame)
    frame.image[:] = frame.detections[0].crop[:] = 255
    picture = board.cameras[0].picture
    assert picture is not None
    assert cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR).max() < 10
    assert board.latest[0].thumbnail.max() == 0
    assert board.latest[0].crop is not None and board.latest[0].crop.max() == 0


def test_a_camera_is_complete_when_it_appears(clock: Clock) -> None:
    """The server may look at any time, and would report a camera that was never seen as silent."""
    found = []

    class Watched(Board):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "cameras":
                found.extend((camera.name, camera.seen, camera.size) for camera in value)
            super().__setattr__(name, value)

    (frame,) = make_frames(1, make_source("door", (32, 24)))
    Watched(fps=10, width=64, quality=80).show(frame)
    assert found == [("door", clock.now, (32, 24))]


def seen(*detections: Detection, name: str = "camera", index: int = 0) -> Frame:
    return Frame(make_source(name, (400, 300)), index, index, np.zeros((300, 400, 3), np.uint8), list(detections))


def test_an_object_with_a_track_stands_among_the_latest_once(board: Board, clock: Clock) -> None:
    for _ in range(200):
        board.show(seen(Detection((0, 0, 9, 9), track=1), Detection((0, 0, 9, 9), track=2)))
        clock.now += 0.05
    assert [s.row["track"] for s in board.latest] == [2, 1]
    assert board.latest[0].number > 10  # and is brought up to date


def test_objects_without_a_track_are_listed_once_a_second_and_label(board: Board, clock: Clock) -> None:
    for _ in range(100):
        board.show(seen(Detection((0, 0, 9, 9), label="Coat"), Detection((0, 0, 9, 9), label="Coat")))
        clock.now += 0.05
    assert len(board.latest) == 5


def test_the_same_track_of_two_cameras_is_two_objects(board: Board) -> None:
    board.show(seen(Detection((0, 0, 9, 9), track=1)))
    board.show(seen(Detection((0, 0, 9, 9), track=1), name="other"))
    assert [s.row["source"] for s in board.latest] == ["other", "camera"]


def test_memory_stays_bounded(board: Board, clock: Clock) -> None:
    for n in range(1100):
        board.show(seen(Detection((0, 0, 200, 150), track=n)))
        clock.now += 1
    assert len(board.latest) == LATEST
    assert len(board.kept) == KEPT
    assert len(board.history) == BINS
    assert len(board._shown) <= 1001
    assert max(board.latest[0].thumbnail.shape) == THUMBNAIL


def test_counts_are_by_label_and_bin_and_in_view_is_the_mean_of_a_frame(board: Board, clock: Clock) -> None:
    clock.now = 999.0  # a bin begins here
    for index in range(4):
        coats = [Detection((0, 0, 9, 9), label="Coat")] * (2 if index % 2 else 1)
        board.show(seen(*coats, Detection((0, 0, 9, 9), kind="person")))
    board.show(seen(Detection((0, 0, 9, 9), label="Coat"), name="other"))
    clock.now += 3
    board.show(seen())
    first, second = board.history
    assert first.detections == {"Coat": 7, "person": 4}
    assert second.detections == {}


def test_in_view_adds_up_over_cameras_whatever_their_rates(board: Board) -> None:
    one, two = make_source("one"), make_source("two")
    image = np.zeros((24, 32, 3), np.uint8)
    for index in range(10):
        board.show(Frame(one, index, index, image, [Detection((0, 0, 9, 9), label="Coat")] * 2))
    board.show(Frame(two, 0, 0, image, [Detection((0, 0, 9, 9), label="Coat")]))
    assert board.history[-1].in_view == {"Coat": 3.0}


def test_an_object_beyond_a_picture_that_was_shrunk_since_is_listed(board: Board) -> None:
    """It ended the run: a division by zero."""
    frame = seen(Detection((350, 250, 399, 299)))
    frame.image = frame.image[:100, :100]
    board.show(frame)
    assert board.latest[0].thumbnail.size
