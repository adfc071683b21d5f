"""The keys of the window, and the window itself on a virtual screen."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import cv2
import pytest

from tests.frames import Frames, make_frames, make_source
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame
from vidclf.pipeline import Pipeline
from vidclf.stages import display as module
from vidclf.stages.display import Display, action_of, summary

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("key", "action"),
    [
        (ord("q"), "quit"),
        (ord("Q"), "quit"),
        (ord("n"), "relearn"),
        (ord(" "), "pause"),
        (ord("s"), "save"),
        (ord("x"), None),
        (-1, None),
        (0xFF51, None),  # the left arrow, whose last eight bits are a Q
        (0xFF53, None),  # the right one, with an S
        (0x100000 | ord("q"), "quit"),  # some backends add the state of the caps lock
    ],
)
def test_keys(key: int, action: str | None) -> None:
    assert action_of(key) == action


def test_the_summary_is_there_after_no_object_too() -> None:
    assert summary(0, 0.0) == "no object was classified"
    assert summary(4, 0.01) == "4 objects classified, 2.50 ms each on average"


class Screen:
    """OpenCV's windows, by hand: the keys that will be pressed, one at each look, and what was shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, keys: str = ""):
        self.keys, self.shown, self.visible = list(keys), [], 1.0
        monkeypatch.setattr(module, "check_screen", lambda: None)
        for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
            monkeypatch.setattr(cv2, name, lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda title, image: self.shown.append((title, image)))
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "waitKeyEx", self.wait_key)
        monkeypatch.setattr(cv2, "waitKey", lambda ms: -1 if (key := self.wait_key(ms)) < 0 else key & 0xFF)

    def wait_key(self, _: int) -> int:
        key = self.keys.pop(0) if self.keys else ""
        return ord(key) if key not in ("", ".") else -1


class Learner:
    """A stage with a background."""

    lessons = 0

    def relearn(self) -> None:
        self.lessons += 1

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        for frame in frames:
            frame.detections = [Detection((2, 2, 12, 12), label="Coat", inference=0.002)] * 2
            yield frame


def play(screen: Screen, count: int = 50, **options: object) -> tuple[dict, Learner]:
    learner = Learner()
    stats = Pipeline([Frames(count), learner, Display(**options)], queue=2).run()
    return stats, learner


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged, which --quiet silences; anything else on a stream is a failure."""
    caplog.set_level(logging.INFO, "vidclf.stages.display")
    yield caplog
    assert capsys.readouterr() == ("", "")


def test_q_ends_the_run_and_says_how_long_one_inference_took(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    stats, _ = play(Screen(monkeypatch, "...q"), count=10_000)
    finished = stats["ledger"]["finished"]
    assert 4 <= finished < 100
    assert said.messages == [f"{2 * finished} objects classified, 2.00 ms each on average"]


def test_q_before_any_detection_is_no_crash(monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture) -> None:
    Screen(monkeypatch, "q")
    Pipeline([Frames(1000), Display()], queue=2).run()
    assert said.messages == ["no object was classified"]


def test_no_frame_at_all_is_no_crash(monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture) -> None:
    Screen(monkeypatch)
    assert list(Display()(Channel.of([]))) == []
    assert said.messages == ["no object was classified"]


def test_an_arrow_neither_quits_nor_saves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stats, _ = play(Screen(monkeypatch, ".\uff51.\uff53"), count=20, folder=tmp_path)
    assert stats["ledger"]["finished"] == 20
    assert not list(tmp_path.iterdir())


def test_closing_the_window_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    screen.visible = 0.0
    stats, _ = play(screen, count=10_000)
    assert stats["ledger"]["finished"] < 100


def test_n_reaches_every_stage_with_a_background(monkeypatch: pytest.MonkeyPatch) -> None:
    _, learner = play(Screen(monkeypatch, ".n.n"))
    assert learner.lessons == 2


def test_space_pauses_until_it_comes_again_and_the_other_keys_work_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, ". ....n.. .")
    _, learner = play(screen, count=6)
    assert learner.lessons == 1
    assert len(screen.shown) == 6
    assert not screen.keys  # all were looked at: eight of them while nothing was shown


def test_a_pause_ends_when_the_run_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, stage = Screen(monkeypatch, " "), Display()
    pipeline = Pipeline([Frames(10_000), stage], queue=2)
    looks = []
    monkeypatch.setattr(cv2, "waitKeyEx", lambda ms: (looks.append(ms), len(looks) == 20 and pipeline.stop())
                        and screen.wait_key(ms))  # fmt: skip
    assert pipeline.run()["ledger"]["finished"] < 100


def test_s_saves_the_picture_without_what_the_window_adds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    screen = Screen(monkeypatch, "..s")
    play(screen, count=5, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("vidclf-2")
    assert path.suffix == ".png"
    assert (cv2.imread(str(path)) == 2).all()  # the third frame is all of value 2
    assert said.messages[0] == f"saved {path}"


def test_a_picture_that_cannot_be_saved_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("mine")
    stats, _ = play(Screen(monkeypatch, ".s"), count=5, folder=tmp_path / "file")
    assert stats["ledger"]["finished"] == 5
    assert "cannot write" in caplog.text


def test_the_window_shows_crop_and_speed_and_the_frame_keeps_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    frames = list(make_frames(3, make_source(size=(320, 240))))
    for frame in frames:
        frame.detections = [Detection((2, 100, 60, 200), crop=frame.image[:28, :28, 0] + 200)]
        frame.source.live = True
    list(Display()(frames))
    title, shown = screen.shown[-1]
    assert title == "vidclf: clip"
    assert (shown[:60, -60:] >= 200).any()  # the crop, in the right corner
    assert (shown[:30, :100] > 100).any()  # words, in the left one
    assert (frames[-1].image == 2).all()
    screen.shown.clear()
    list(Display(inset=False, overlay=False)(frames))
    assert (screen.shown[-1][1] == 2).all()


def test_keys_work_while_a_camera_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost:
        live = True

        def __call__(self, _: object) -> Iterator[Frame | None]:
            yield from make_frames(1)
            while True:
                sleep(0.01)
                yield None

    Screen(monkeypatch, ".....q")
    assert Pipeline([Lost(), Display()]).run()["ledger"]["finished"] == 1


def test_without_a_screen_it_says_so_before_anything_runs() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if sys.platform != "linux":
        pytest.skip("other systems always have a screen")
    command = [sys.executable, "-m", "vidclf", "run", "samples/wardrobe.mp4", "--display"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: --display: display: cannot show a window: there is no screen;")


def test_opencv_without_windows_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE", "raise SystemExit('The function is not implemented')")
    with pytest.raises(UsageError, match="this OpenCV has no windows"):
        Display()


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="needs the program xvfb-run")
def test_a_real_window_opens_and_closes(tmp_path: Path) -> None:
    """On a virtual screen, with PyAV in the same process, whose libraries once kept the window from opening."""
    command = ["xvfb-run", "-a", sys.executable, "-m", "vidclf", "run", str(ROOT / "samples" / "wardrobe.mp4")]
    command += ["--display", "--max-frames", "20", "--set", "display.folder=."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "20 frames read, 20 finished" in done.stderr
    assert "classified" in done.stderr
    assert "QFont" not in done.stderr
