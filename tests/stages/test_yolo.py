from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Aborted, Channel
from vidclf.errors import UsageError
from vidclf.frame import Box, Frame
from vidclf.models.selection import Found
from vidclf.models.ultralytics_model import load_detector
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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "Persn",
            r"the class 'Persn'; did you mean person\? \(it knows person, tie, .*thing 11, \.\.\.; 80 in all\)",
        ),
        ("zebra", r"the class 'zebra' \(it knows person, tie, .*, thing 79\)"),
    ],
)
def test_an_unknown_class_is_told_before_the_model_is_loaded(segmenter: str, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"does not know {told}$"):
        Yolo(segmenter, classes=["tie", name])


def test_an_unknown_class_is_told_by_the_model_where_its_file_does_not_tell(
    segmenter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.models.class_names.read_names", lambda _: None)
    with pytest.raises(UsageError, match=r"does not know the class 'persn'; did you mean person\?"):
        list(Yolo(segmenter, classes=["persn"], device="cpu")(Channel.of(noise(1))))


@pytest.mark.parametrize(
    ("names", "classes", "numbers"),
    [
        (["tie", "person"], None, [1]),
        (["tie", "helmet"], None, None),
        (["tie", "person"], [], None),
        (["tie", "person"], [""], None),
    ],
)
def test_persons_are_kept_unless_the_model_knows_none_or_all_are_asked_for(
    segmenter: str, names: list[str], classes: list[str] | None, numbers: list[int] | None
) -> None:
    assert Yolo(segmenter, classes=classes).class_numbers(dict(enumerate(names))) == numbers


def test_the_mask_lies_over_the_object() -> None:
    """A network's mask, over its letterboxed input, is brought back onto the box."""
    from vidclf.stages.yolo import _inside

    mask = np.full((96, 160), -1, np.float32)  # a 320x160 picture in a 160x96 input: scale 1/2, 8 rows of border above
    mask[8 + 20 : 8 + 40, 30:60] = 1  # rows 40..79, columns 60..119 of the picture
    inside = _inside(mask, (50, 30, 130, 90), 320, 160)
    assert inside.shape == (60, 80)
    rows, columns = np.where(inside)
    assert np.allclose(
        [rows.min() + 30, rows.max() + 31, columns.min() + 50, columns.max() + 51], [40, 80, 60, 120], atol=1
    )


def test_pictures_of_several_sizes_are_searched_in_one_batch_as_alone(segmenter: str) -> None:
    frames = [*noise(2), *noise(2, size=(96, 128))]
    mixed = [frames[0], frames[2], frames[1], frames[3]]
    stage = Yolo(segmenter, classes=[], confidence=0.1, image_size=160, batch=4, device="cpu", max_objects=5)
    together = [[d.box for d in frame.detections] for frame in stage(Channel.of(mixed))]
    for frame in mixed:
        frame.detections = []
    alone = [[d.box for d in frame.detections] for one in mixed for frame in stage(Channel.of([one]))]
    assert together == alone


class Queue:
    """A detector that finds nothing, and remembers how many pictures were under way."""

    names, most, most_under_way, on_gpu = {0: "person"}, 2, 4, False

    def __init__(self) -> None:
        self.under_way, self.counts = deque[int](), [0]
        self.begin = lambda: None
        self.several: list[bool] = []

    def start(self, images: list[np.ndarray], _: object, several: bool) -> Callable[[], list[Found]]:
        self.several.append(several)
        self.under_way.append(len(images))
        self.counts.append(sum(self.under_way))
        self.begin()
        return self.finish

    def finish(self) -> list[Found]:
        return [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))] * self.under_way.popleft()


@pytest.mark.parametrize(
    ("batch", "every", "most", "most_large"),  # every: of so many frames one is searched
    [(8, 1, 4, 4), (8, 3, 4, 3), (8, 20, 2, 1), (3, 1, 3, 3), (1, 1, 1, 1), (1, 2, 1, 1)],
)
@pytest.mark.parametrize("large", [False, True])  # of large frames, fewer wait
def test_pictures_are_searched_ahead(
    batch: int, every: int, most: int, most_large: int, large: bool, segmenter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr("vidclf.stages.yolo.MOST_WAITING", 0)
    stage, detector = Yolo(segmenter, device="cpu", batch=batch), Queue()
    stage._detector = detector  # type: ignore[assignment]
    frames = list(make_frames(40))
    for frame in frames:
        frame.skip = frame.index % every > 0
    assert [frame.index for frame in stage(Channel.of(frames))] == list(range(40))
    assert max(detector.counts) == (most_large if large else most)
    assert not detector.under_way


def test_frames_that_need_no_search_do_not_wait_for_more(segmenter: str) -> None:
    stage = Yolo(segmenter, device="cpu")
    stage._detector = Queue()  # type: ignore[assignment]
    frames = list(make_frames(40))
    for frame in frames:
        frame.skip = True
    rest = Channel.of(frames)
    assert next(stage(rest)).index == 0
    assert rest.depth > 30


def test_on_a_gpu_two_whole_batches_are_under_way(segmenter: str) -> None:
    stage, detector = Yolo(segmenter, device="cpu", batch=7), Queue()
    detector.most, detector.most_under_way, detector.on_gpu = 1024, 2048, True
    stage._detector = detector  # type: ignore[assignment]
    assert [frame.index for frame in stage(Channel.of(list(make_frames(40))))] == list(range(40))
    assert detector.counts[:3] == [0, 7, 14]
    assert max(detector.counts) == 14


def test_a_camera_does_not_wait_for_its_next_pictures(segmenter: str) -> None:
    """A finished live frame goes on at once, even if fresher ones have come since."""
    stage, detector, source = Yolo(segmenter, device="cpu"), Queue(), make_source()
    source.live = True
    stage._detector = detector  # type: ignore[assignment]
    channel, coming = Channel(size=4), make_frames(9, source)
    detector.begin = lambda: [channel.put(frame) for frame in islice(coming, 1)]
    channel.put(next(coming))
    found = []
    for frame in stage(channel):
        found.append(frame.index)
        if frame.index == 8:
            channel.close()
    assert found == list(range(9))
    assert max(detector.counts) == 1


def test_only_a_single_camera_gets_all_threads_for_a_picture(segmenter: str) -> None:
    clip, one, other = make_source("clip"), make_source("one"), make_source("other")
    one.live = other.live = True
    told = {}
    for names, sources in (("clip", [clip] * 2), ("one", [one] * 2), ("both", [one, other])):
        stage, detector = Yolo(segmenter, device="cpu"), Queue()
        stage._detector = detector  # type: ignore[assignment]
        frames = [next(make_frames(1, source)) for source in sources]
        assert len(list(stage(Channel.of(frames)))) == len(frames)
        told[names] = set(detector.several)
    assert told == {"clip": {True}, "one": {False}, "both": {True}}


def test_what_was_under_way_when_a_stage_before_failed_is_finished(segmenter: str) -> None:
    stage = Yolo(segmenter, device="cpu")
    stage._detector = Queue()  # type: ignore[assignment]
    channel = Channel(size=10)
    for frame in make_frames(10):
        channel.put(frame)
    channel.close(failed=True)
    found = []
    with pytest.raises(Aborted):
        for frame in stage(channel):
            found.append(frame.index)
    assert found == list(range(10))


ALONE = """
import os, sys
import cv2, numpy, torch
def state():
    return cv2.getNumThreads(), torch.get_num_threads(), numpy.get_printoptions(), dict(os.environ)
before = state()
from vidclf.channel import Channel
from vidclf.errors import UsageError
from vidclf.models.selection import Found
from vidclf.models.ultralytics_model import _download, load_detector
from vidclf.stages import Yolo
from tests.frames import make_frames
yolo = Yolo(sys.argv[1], device="cpu", image_size=64, backend=sys.argv[3])
assert len(list(yolo(Channel.of(make_frames(2))))) == 2
assert state() == before, (before, state())
from ultralytics.utils import ONLINE
from ultralytics.utils.events import events
assert not ONLINE and not events.enabled

class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)
torch.save({"model": Bomb()}, sys.argv[2])
try:
    load_detector(sys.argv[2])
except UsageError as error:
    assert "is not a detector that ultralytics can load" in str(error) and "\\n" not in str(error), error
else:
    raise AssertionError("loaded")
"""


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_ultralytics_is_silent_and_leaves_the_process_and_the_folder_as_they_were(
    backend: str, segmenter: str, tmp_path: Path
) -> None:
    """In a process of its own: its first import is what prints, asks for the internet, and takes the threads away.

    Nor does it run code that hides in a checkpoint, which would leave a folder here.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "YOLO_CONFIG_DIR": str(tmp_path / "config")}
    environment["VIDCLF_CACHE"] = str(tmp_path / "cache")
    (tmp_path / "here").mkdir()
    (tmp_path / "config").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", ALONE, segmenter, str(tmp_path / "bomb.pt"), backend],
        cwd=tmp_path / "here",
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_path_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"no detector weights 'nosuch\.pt'"):
        Yolo("nosuch.pt")


@pytest.mark.parametrize(
    "option",
    [{"confidence": 1.5}, {"iou": -0.1}, {"image_size": 8}, {"batch": 0}, {"device": "gpu"}, {"max_objects": 0}],
)
def test_options_are_checked(option: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(option))} must be .*got "):
        Yolo(**option)


@pytest.mark.parametrize("weights", ["yolo11n.pt", "yolo11n_int8_openvino_model"])
def test_real_people_are_found(shared: Path, weights: str) -> None:
    """PETS09-S2L1, every 16th frame: recall and precision at IoU 0.4 with the defaults."""
    from vidclf.records import RecordRow, TruthRow
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


def test_without_ultralytics_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ultralytics", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Missing("ultralytics"), *sys.meta_path])
    with pytest.raises(UsageError, match=r"needs ultralytics \(pip install ultralytics\)"):
        load_detector("yolo11n")


class _Missing:
    """Makes one package look as if it were not installed."""

    def __init__(self, name: str):
        self.name = name

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}")
