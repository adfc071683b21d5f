"""Real files that break players: each ends in a playable output with true books, or in one line that says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import av
import cv2
import numpy as np
import pytest

from tests.clips import look
from tests.conftest import SHARED
from vidclf.cli.main import main
from vidclf.stages.capture import Capture

FOLDER = SHARED / "data" / "clips" / "nasty"
FILES = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
NO_VIDEO = {
    "derived_audio_only.m4a": "has no video track (it holds: audio)",
    "derived_text_not_video.mp4": "as video: Invalid data found when processing input",
    "derived_zero_byte.mp4": "as video: Invalid data found when processing input",
}
# Frames that are really there, as ffprobe counts them.
FRAMES = {"derived_vfr.mp4": 60, "tc_var_fps_video.mp4": 300, "derived_one_frame.mp4": 1, "decord_unordered.mov": 4}
PLAIN = "- capture\n- annotate\n- write\n"
Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def vidclf(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder; gives the exit code and the lines on stderr, FFmpeg's own included."""
    monkeypatch.chdir(tmp_path)
    Path("plain.yaml").write_text(PLAIN)

    def run(*arguments: object) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return int(left.value.code or 0), capfd.readouterr().err.splitlines()

    return run


def names() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"plain.yaml"}


@pytest.mark.skipif(not FILES, reason="needs ../shared/data, which is not part of the repository")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nasty(vidclf: Run, path: Path) -> None:
    outputs = ["-o", "out.mp4", "--record", "out.jsonl", "--record-frames", "--stats", "stats.json"]
    began = perf_counter()
    code, said = vidclf("run", path, "-p", "plain.yaml", *outputs, "--quiet")
    assert perf_counter() - began < 20
    if path.name in NO_VIDEO:
        assert code == 1
        assert len(said) == 1
        assert said[0].startswith("Error: ") and said[0].endswith(NO_VIDEO[path.name])
        assert names() == set()
        return
    assert (code, said) == (0, [])
    assert names() == {"out.mp4", "out.jsonl", "stats.json"}
    books = json.loads(Path("stats.json").read_text())["ledger"]
    assert books["read"] == books["finished"] + books["corrupt"] + sum(books["dropped"].values())
    assert books["finished"] == FRAMES.get(path.name, books["finished"])
    times = look(Path("out.mp4"), numbered=False).times
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()[1:]]
    assert [row["frame"] for row in rows] == list(range(books["finished"]))
    assert times == pytest.approx([row["time"] for row in rows], abs=0.001)


@pytest.mark.parametrize(
    "name", ["derived_tiny_16x16.mp4", "derived_odd_321x241_h264_444.mp4", "derived_one_frame.mp4"]
)
def test_nasty_through_the_default_pipeline(vidclf: Run, shared: Path, name: str) -> None:
    code, said = vidclf("run", shared / "clips" / "nasty" / name, "-o", "out.mp4", "--stats", "s.json", "--quiet")
    assert (code, said) == (0, [])
    books = json.loads(Path("s.json").read_text())["ledger"]
    assert len(look(Path("out.mp4"), numbered=False).times) == books["finished"] == books["read"]


@pytest.mark.parametrize("name", ["derived_vfr.mp4", "tc_var_fps_video.mp4"])
def test_variable_rate_clips_keep_their_timestamps(vidclf: Run, shared: Path, name: str) -> None:
    path = shared / "clips" / "nasty" / name
    with av.open(str(path)) as container:
        times = [float(shot.pts * shot.time_base) for shot in container.decode(video=0)]
    assert len({round(b - a, 3) for a, b in pairwise(times)}) > 1
    for suffix in ("mp4", "mkv"):
        vidclf("run", path, "-p", "plain.yaml", "-o", f"out.{suffix}", "--quiet")
        assert look(Path(f"out.{suffix}"), numbered=False).times == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("name", ["decord_video_90.mov", "decord_video_180.mov"])
def test_rotated_clips_come_out_upright(shared: Path, name: str) -> None:
    """As OpenCV shows them, which turns them as well."""
    path = str(shared / "clips" / "nasty" / name)
    image, (_, expected) = next(Capture(path)()).image, cv2.VideoCapture(path).read()
    assert image.shape == expected.shape
    assert cv2.absdiff(image, expected).mean() < 3


def test_sound_is_kept_sample_for_sample(vidclf: Run, shared: Path) -> None:
    clip = shared / "clips" / "pets09_s2l1_480x360.mp4"
    code, _ = vidclf("run", clip, "-p", "plain.yaml", "-o", "out.mp4", "--set", "write.size=120x90", "--quiet")
    assert code == 0
    before, after = look(clip, numbered=False), look(Path("out.mp4"), numbered=False)
    assert after.times == pytest.approx(before.times, abs=0.001)
    assert after.sound_codecs == ["aac"]
    assert np.array_equal(after.sound, before.sound)


def test_every_frame_of_a_long_clip_at_its_own_time(vidclf: Run, shared: Path) -> None:
    clip = shared / "clips" / "intel_one_by_one_768x432.mp4"
    small = ["--set", "write.size=192x108"]
    code, _ = vidclf("run", clip, "-p", "plain.yaml", "-o", "out.mp4", *small, "--stats", "s.json", "--quiet")
    assert code == 0
    assert json.loads(Path("s.json").read_text())["ledger"] == {
        "read": 1394, "finished": 1394, "corrupt": 0, "dropped": {},
    }  # fmt: skip
    assert look(Path("out.mp4"), numbered=False).times == pytest.approx([i / 10 for i in range(1394)], abs=0.0001)
