"""A board, and the clock that it and the health of its cameras go by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.cameras import Camera, ask, page, until
from vidclf.stages import Serve
from vidclf.web import board as board_module
from vidclf.web import health as health_module
from vidclf.web.board import Board


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(board_module, "time", clock)
    monkeypatch.setattr(health_module, "time", clock)
    return clock


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(fps=10, width=64, quality=80)


@pytest.fixture(scope="module")
def camera() -> Camera:
    return Camera()


@pytest.fixture(scope="module")
def serve(camera: Camera) -> Iterator[Serve]:
    with page([camera, Camera("absent", state="absent")]) as serve:
        until(lambda: ask(f"{serve.url}api/detections"))
        yield serve
