"""The loops that vidclf is compared with do what they are said to do: else the comparison would be worth nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clips import look, write_clip
from vidclf.bench.agree import agreement
from vidclf.bench.loops import Namer, Person, ReferencePicture
from vidclf.bench.ours import Ours
from vidclf.bench.setting import PlainWriter, Setting
from vidclf.cli.assemble import RunOptions, assemble
from vidclf.errors import VidclfError
from vidclf.models.predictor import Predictor
from vidclf.preprocess import crop_picture


def square_clip(path: Path, frames: int = 8) -> Path:
    """A white square that stands on black from the second frame on: predecessor A's golden case."""
    writer = PlainWriter(path, "ffv1", 25, (320, 240))
    for n in range(frames):
        image = np.zeros((240, 320, 3), np.uint8)
        if n:
            image[100:150, 100:151] = 255
        writer.write(image)
    writer.close()
    return path


def setting(clip: Path, folder: Path, **options) -> Setting:
    items = assemble(RunOptions(**options), str(clip), folder / "vidclf.mp4", None)
    return Setting.of(clip, items, folder, codec="mpeg4")


def test_the_motion_loop_gives_the_predecessors_golden_box(tmp_path):
    clip = square_clip(tmp_path / "in.mkv")
    seen = ReferencePicture(setting(clip, tmp_path)).run()
    assert [box for found in seen for box, _ in found] == [(97, 97, 154, 153)] * 7
    assert not seen[0]
    assert len(look(tmp_path / "serial.mp4", numbered=False).times) == 8


def test_frames_bounds_every_loop(tmp_path):
    three = setting(square_clip(tmp_path / "in.mkv"), tmp_path, max_frames=3)
    assert len(ReferencePicture(three).run()) == 3
    assert len(Ours(three).run()[0]) == 3


def test_a_clip_that_opencv_cannot_read_is_an_error(tmp_path):
    """All was measured, and then the speed was divided by zero."""
    clip = write_clip(tmp_path / "in.mp4", frames=2, codec="libsvtav1")
    if cv2.VideoCapture(str(clip)).grab():
        pytest.skip("this OpenCV reads AV1")
    with pytest.raises(VidclfError) as raised:
        ReferencePicture(setting(clip, tmp_path))
    assert str(raised.value) == f"{clip}: OpenCV, with which the other loops read, finds no frame in it"


def test_the_classifier_of_the_loops_names_as_the_stage_does(tmp_path):
    one = setting(square_clip(tmp_path / "in.mkv"), tmp_path)
    predictor, namer = Predictor("lean"), Namer(one)
    random = np.random.default_rng(0)
    for _ in range(10):
        image = cv2.GaussianBlur(random.integers(0, 256, (90, 90, 3), np.uint8), (0, 0), 6)
        box = (10, 10, 80, 80)
        (probabilities,) = predictor([crop_picture(image, one.option("crop", "policy"), box)])
        best = int(np.argmax(probabilities))
        name, _, score = namer(image, box).rpartition(" ")
        assert abs(float(score) - probabilities[best]) < 0.1
        assert name == predictor.labels[best] or float(score) < 0.6


def test_vidclf_sees_what_the_serial_loop_sees(tmp_path, shared):
    """On real people: the same boxes and the same names, whatever runs the networks here."""
    clip, weights = shared / "clips" / "pets09_s2l1_480x360.mp4", str(shared / "detectors" / "yolo11n.pt")
    people = setting(clip, tmp_path, pipeline="person", detector_weights=weights, max_frames=12)
    found = agreement(Ours(people).run()[0], Person(people).run())
    assert found["objects"] > 30
    assert found["boxes"] >= 0.95
    assert found["boxes_and_labels"] >= 0.95
