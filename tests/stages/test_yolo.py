from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.frame import Box, Frame
from vidclf.models.detector import load_detector
from vidclf.pipeline import Pipeline
from vidclf.stages import Capture, Yolo


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A segment model with random weights: it finds nonsense, but in the right shape."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random-seg.pt"
    model = YOLO("yolo11n-seg.yaml")
    model.model.names = {0: "person", 1: "tie"} | {i: f"thing {i}" for i in range(2, 80)}
    for branch in model.model.model[-1].cv3:  # an untrained network is sure of nothing: make it sure of everything
        branch[-1].bias.data.fill_(0.0)
    model.save(path)
    return str(path)


def noise(count: int, size: tuple[int, int] = (160, 96)) -> list[Frame]:
    frames = list(make_frames(count, make_source(size=size)))
    dice = np.random.default_rng(0)
    for frame in frames:
        frame.image = dice.integers(0, 255, frame.image.shape, np.uint8)
    return frames


def test_a_segment_model_gives_masks_inside_boxes_inside_the_picture(segmenter: str) -> None:
    stage = Yolo(segmenter, classes=[], confidence=0.1, image_size=160, batch=2, device="cpu", max_objects=5)
    frames = list(stage(Channel.of(noise(3))))
    assert [frame.index for frame in frames] == [0, 1, 2]
    detections = [d for frame in frames for d in frame.detections]
    assert detections
    for d in detections:
        x0, y0, x1, y1 = d.box
        assert all(isinstance(edge, int) for edge in d.box)
        assert 0 <= x0 < x1 <= 160
        assert 0 <= y0 < y1 <= 96
        assert d.mask is not None
        assert d.mask.shape == (y1 - y0, x1 - x0)
        assert d.mask.dtype == bool
        assert 0 <= d.score <= 1


def test_only_the_wanted_classes_are_kept(segmenter: str) -> None:
    stage = Yolo(segmenter, classes=["person", "tie"], confidence=0.1, image_size=160, device="cpu")
    kinds = {d.kind for frame in stage(Channel.of(noise(2))) for d in frame.detections}
    assert kinds <= {"person", "tie"}


def test_an_unknown_class_is_refused_with_those_it_knows(segmenter: str) -> None:
    with pytest.raises(UsageError, match=r"does not know the class 'persn'; it knows person, tie, .*80 in all"):
        list(Yolo(segmenter, classes=["persn"], device="cpu")(Channel.of(noise(1))))


def test_the_mask_lies_over_the_object() -> None:
    """A network's mask, over its letterboxed input, is brought back onto the box."""
    from vidclf.stages.yolo import _inside

    mask = np.zeros((96, 160), bool)  # a 320x160 picture in a 160x96 input: scale 1/2, 8 rows of border above
    mask[8 + 20 : 8 + 40, 30:60] = True  # rows 40..79, columns 60..119 of the picture
    inside = _inside(mask, (50, 30, 130, 90), 320, 160)
    assert inside.shape == (60, 80)
    rows, columns = np.where(inside)
    assert np.allclose(
        [rows.min() + 30, rows.max() + 31, columns.min() + 50, columns.max() + 51], [40, 80, 60, 120], atol=1
    )


def test_loading_ultralytics_leaves_opencv_its_threads(segmenter: str) -> None:
    before = cv2.getNumThreads()
    load_detector(segmenter)
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a detector that ultralytics can load") as caught:
        load_detector(str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a detector"):
        load_detector(str(tmp_path))


def test_a_model_for_another_task_is_refused(tmp_path: Path) -> None:
    from ultralytics import YOLO

    path = tmp_path / "classifier.pt"
    YOLO("yolo11n-cls.yaml").save(path)
    with pytest.raises(UsageError, match="is a classify model"):
        load_detector(str(path))


def test_a_published_name_that_cannot_be_downloaded_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"yolo11x-seg.pt is not here, and there is no internet .*--detector-weights"):
        load_detector("yolo11x-seg")


def test_a_path_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"no detector weights 'nosuch\.pt'"):
        Yolo("nosuch.pt")


@pytest.mark.parametrize(
    "option",
    [{"confidence": 1.5}, {"iou": -0.1}, {"image_size": 8}, {"batch": 0}, {"device": "gpu"}, {"max_objects": 0}],
)
def test_options_are_checked(option: dict) -> None:
    with pytest.raises(UsageError):
        Yolo(**option)


@pytest.mark.parametrize("weights", ["yolo11n.pt", "yolo11n_int8_openvino_model"])
def test_real_people_are_found(shared: Path, weights: str) -> None:
    """PETS09-S2L1, every 16th frame: recall and precision at IoU 0.4 with the defaults."""
    from vidclf.rows import RecordRow, TruthRow
    from vidclf.scoring import match

    truth: dict[int, list[Box]] = {}
    with (shared / "people/PETS09-S2L1/gt_480x360.csv").open() as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[key]) for key in "xywh")
            truth.setdefault(int(row["frame"]) - 1, []).append((round(x), round(y), round(x + w), round(y + h)))
    found = detected = true = 0

    def watch(frame: Frame) -> None:
        nonlocal found, detected, true
        boxes = [RecordRow(frame.index, d.box) for d in frame.detections]
        people = [TruthRow(frame.index, frame.time, "", box, "") for box in truth.get(frame.index, [])]
        found += len(match(boxes, people, 0.4))
        detected, true = detected + len(boxes), true + len(people)

    clip = str(shared / "clips/pets09_s2l1_480x360.mp4")
    Pipeline([Capture(clip, stride=16), Yolo(str(shared / "detectors" / weights))]).run(watch=watch)
    assert found / true >= 0.85
    assert found / detected >= 0.75
