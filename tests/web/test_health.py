"""What is said of each source, from its statistics and from what the board has seen of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frames import make_frames, make_source
from tests.web.conftest import Clock
from vidclf.web.board import Board
from vidclf.web.health import LOADING, SILENT, Health, summary

NOW = {"fps": 5.0, "sources": {}}


def stats(**states: str) -> dict[str, Any]:
    """The statistics of live sources in these states."""
    sources = {name: {"live": True, "state": state, "reconnects": 0} for name, state in states.items()}
    return {"source": ", ".join(states), "ledger": {}, "sources": sources}


def come(board: Board, name: str = "door") -> None:
    """A frame of this source comes out."""
    (frame,) = make_frames(1, make_source(name, (32, 24)))
    board.show(frame)


def state(health: Health, stats: dict[str, Any], name: str = "door") -> str:
    return next(row["state"] for row in health.cameras(stats, NOW) if row["name"] == name)


def test_a_source_has_the_state_of_its_statistics_and_is_away_or_not(board: Board) -> None:
    come(board, "here")
    told = stats(here="connected", lost="reconnecting", never="absent", gone="given up", done="ended")
    rows = Health(board).cameras(told, NOW)
    assert {row["name"]: (row["state"], row["away"]) for row in rows} == {
        "here": ("connected", False),
        "lost": ("reconnecting", True),
        "never": ("absent", True),
        "gone": ("given up", True),
        "done": ("ended", False),
    }
    assert [row["picture"] for row in rows] == ["/cameras/0.jpg", None, None, None, None]


def test_a_connected_camera_without_frames_is_silent_after_a_while(board: Board, clock: Clock) -> None:
    health, told = Health(board), stats(door="connected")
    come(board)
    assert state(health, told) == "connected"
    clock.now += SILENT - 0.1
    assert state(health, told) == "connected"
    clock.now += 0.2
    assert state(health, told) == "silent"
    assert health.cameras(told, NOW)[0]["away"]
    come(board)
    assert state(health, told) == "connected"


def test_a_camera_that_gives_a_frame_now_and_then_is_not_silent(board: Board, clock: Clock) -> None:
    """As with a large stride."""
    health, told = Health(board), stats(door="connected")
    come(board)
    assert state(health, told) == "connected"
    clock.now += 30
    come(board)
    clock.now += 59
    assert state(health, told) == "connected"
    clock.now += 2
    assert state(health, told) == "silent"


def test_before_the_first_frame_of_any_camera_networks_may_be_loading(board: Board, clock: Clock) -> None:
    health, told = Health(board), stats(door="connected", yard="connected")
    assert state(health, told) == "connected"
    clock.now += LOADING - 1
    assert state(health, told) == "connected"
    come(board, "yard")
    assert state(health, told) == "silent"
    assert state(health, told, "yard") == "connected"


def test_a_camera_that_comes_back_has_time_for_its_first_frame(board: Board, clock: Clock) -> None:
    health = Health(board)
    come(board)
    clock.now += 60
    assert state(health, stats(door="reconnecting")) == "reconnecting"
    clock.now += 60
    assert state(health, stats(door="connected")) == "connected"
    clock.now += SILENT + 1
    assert state(health, stats(door="connected")) == "silent"


def test_a_file_has_no_entry_of_its_own_and_is_never_silent(board: Board, clock: Clock) -> None:
    come(board, "clip.mp4")
    clock.now += 1000
    (row,) = Health(board).cameras({"source": "clip.mp4", "ledger": {"read": 7}}, NOW)
    assert (row["name"], row["state"], row["away"], row["live"], row["read"], row["fps"]) == (
        "clip.mp4", "connected", False, False, 7, 5.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("away", "said"), [([], "ok"), ([False], "ok"), ([True], "down"), ([True, False], "degraded"), ([True] * 2, "down")]
)
def test_the_run_is_down_when_every_source_is_away(away: list[bool], said: str) -> None:
    assert summary([{"away": each} for each in away], []) == said


@pytest.mark.parametrize(("away", "said"), [([], "degraded"), ([False], "degraded"), ([True], "down")])
def test_other_problems_degrade_it(away: list[bool], said: str) -> None:
    assert summary([{"away": each} for each in away], ["the disk is full"]) == said
