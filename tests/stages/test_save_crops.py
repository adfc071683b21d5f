import logging
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.frames import make_source
from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Detection, Frame, Source
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.stages import SaveCrops
from vidclf.training import data


def detection(value: int, label: str = "", sure: float = 0.9, track: int | None = None) -> Detection:
    crop = np.full((28, 28), value, np.uint8)
    return Detection((2, 4, 12, 20), crop=crop, label=label, label_score=sure, track=track)


def frames(*detections: list[Detection], source: Source | None = None, step: int = 25) -> list[Frame]:
    """A frame for each list, `step` frames apart, which is a second."""
    source = source or make_source("folder/in put.mp4", (32, 24))
    image = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    return [Frame(source, step * n, step * n, image.copy(), found) for n, found in enumerate(detections)]


def saved(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def times(folder: Path) -> list[int]:
    """When the saved pictures were seen, in milliseconds from the start of their source."""
    return sorted(int(name.split("-")[-2]) for name in saved(folder))


def test_crops_are_saved_by_label_as_they_are(tmp_path: Path) -> None:
    scene = frames([detection(10, "Coat"), detection(20, "T-shirt/top")], [], [detection(30), detection(40, "Coat")])
    assert [frame.index for frame in SaveCrops(str(tmp_path))(scene)] == [0, 25, 50]
    names = saved(tmp_path)
    stem = names[0].removeprefix("Coat/").rpartition("-00000000-")[0]
    assert stem.startswith("in put-") and len(stem) == 13
    assert [name[:-12] for name in names] == [
        f"Coat/{stem}-00000000-",
        f"Coat/{stem}-00002000-",
        f"T-shirt_top/{stem}-00000000-",
        f"unsorted/{stem}-00002000-",
    ]
    picture = cv2.imread(str(tmp_path / names[1]), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (28, 28) and (picture == 40).all()


def test_what_is_in_doubt_is_unsorted(tmp_path: Path) -> None:
    scene = frames([detection(1, "Coat", 0.7), detection(2, "Coat", 0.69)])
    list(SaveCrops(str(tmp_path / "a"), min_confidence=0.7)(scene))
    assert [name.partition("/")[0] for name in saved(tmp_path / "a")] == ["Coat", "unsorted"]
    list(SaveCrops(str(tmp_path / "b"), by_label=False)(scene))
    assert [name.partition("/")[0] for name in saved(tmp_path / "b")] == ["unsorted"] * 2


def test_every_spaces_the_crops_of_a_track(tmp_path: Path) -> None:
    scene = frames(*([detection(n, track=1), detection(100 + n, track=2)] if n < 4 else [] for n in range(8)), step=25)
    list(SaveCrops(str(tmp_path), every=2)(scene))
    assert times(tmp_path) == [0, 0, 2000, 2000]


def test_without_tracks_every_spaces_the_frames(tmp_path: Path) -> None:
    scene = frames(*([detection(n), detection(100 + n)] for n in range(10)), step=5)
    list(SaveCrops(str(tmp_path), every=1)(scene))
    assert times(tmp_path) == [0, 0, 1000, 1000]
    list(SaveCrops(str(tmp_path / "all"), every=0)(scene))
    assert len(saved(tmp_path / "all")) == 20


def test_the_limit_is_kept_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = frames(*([detection(n), detection(100 + n)] for n in range(5)))
    with caplog.at_level(logging.WARNING):
        assert len(list(SaveCrops(str(tmp_path), limit=3)(scene))) == 5
    assert len(saved(tmp_path)) == 3
    assert caplog.messages == ["save-crops: the limit of 3 crops is reached; no more are saved"]


def test_the_same_run_writes_nothing_twice_and_another_overwrites_nothing(tmp_path: Path) -> None:
    scene = frames([detection(10), detection(20)])
    stage = SaveCrops(str(tmp_path))
    list(stage(scene))
    first = saved(tmp_path)
    assert len(first) == 2 and stage.counts == {"saved": 2}
    list(stage(scene))
    assert saved(tmp_path) == first and stage.counts == {"saved": 0, "already there": 2}
    list(SaveCrops(str(tmp_path))(frames([detection(99)])))  # at the same time, as of another detector
    assert len(saved(tmp_path)) == 3


def test_frames_of_the_same_number_are_different_pictures(tmp_path: Path) -> None:
    """`capture.start` numbers from 0 again."""
    source = make_source("a.mp4")
    for pts in (0, 600 * 25):
        frame = Frame(source, 0, pts, np.zeros((24, 32, 3), np.uint8), [detection(1)])
        list(SaveCrops(str(tmp_path))([frame]))
    assert times(tmp_path) == [0, 600_000]


def test_pictures_that_were_sorted_are_not_saved_again(tmp_path: Path) -> None:
    scene = frames([detection(10, "Coat"), detection(20, "Bag")], [detection(30, "Coat")])
    list(SaveCrops(str(tmp_path), by_label=False)(scene[:1]))
    (tmp_path / "mine" / "a").mkdir(parents=True)
    for name in saved(tmp_path):
        (tmp_path / name).rename(tmp_path / "mine" / "a" / Path(name).name)
    first, stage = saved(tmp_path), SaveCrops(str(tmp_path), limit=1)
    list(stage(scene))
    assert [name.partition("/")[0] for name in set(saved(tmp_path)) - set(first)] == ["Coat"]
    assert stage.counts == {"saved": 1, "already there": 2}  # the limit is for those that are saved


def test_two_sources_of_one_name_overwrite_nothing(tmp_path: Path) -> None:
    scene = [frames([detection(value)], source=make_source("a.mp4"))[0] for value in (1, 2, 1)]
    list(SaveCrops(str(tmp_path))(scene))
    assert times(tmp_path) == [0, 0]


def test_sources_of_one_name_do_not_collide_and_no_password_is_told(tmp_path: Path) -> None:
    sources = ["a/cam.mp4", "b/cam.mp4", "rtsp://me:secret@host/cam.mp4?token=secret", "C:\\x\\cam.mp4"]
    for name in sources:
        list(SaveCrops(str(tmp_path))(frames([detection(5)], source=make_source(name))))
    assert len(saved(tmp_path)) == 4
    assert all(name.startswith("unsorted/cam-") and "secret" not in name for name in saved(tmp_path))
    live = make_source("0")
    live.live = True
    list(SaveCrops(str(tmp_path / "live"))(frames([detection(5)], source=live)))
    assert len(saved(tmp_path / "live")[0].split("-")) == 6  # when it began, too: numbers start anew every time


@pytest.mark.parametrize("policy", [Preprocess(), Preprocess(size=64, channels=3)])
def test_a_full_picture_gives_training_the_crop_of_serving(tmp_path: Path, policy: Preprocess) -> None:
    scene = frames([Detection((2, 4, 12, 20), label=label) for label in ("a", "b")])
    mask = np.zeros((16, 10), bool)
    mask[3:14, 2:9] = True
    scene[0].detections[1].mask = mask
    served = [crop_picture(scene[0].image, policy, d.box, d.mask) for d in scene[0].detections]
    list(SaveCrops(str(tmp_path / "test"), full=True)(scene))
    trained = data.load(tmp_path, "test", policy)
    assert trained.labels == ("a", "b")
    for crop, image in zip(served, trained.images.numpy(), strict=True):
        assert np.array_equal(image[0] if policy.channels == 1 else image.transpose(1, 2, 0), crop)


def test_wrong_options_and_places_are_told(tmp_path: Path) -> None:
    for options, message in (
        ({"every": -1}, "every must be at least 0 seconds, got -1"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"min_confidence": 2}, "min_confidence must be 0 to 1, got 2"),
    ):
        with pytest.raises(UsageError) as raised:
            SaveCrops(str(tmp_path / "never"), **options)
        assert str(raised.value) == message
    assert not (tmp_path / "never").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"^cannot write to .*file: "):
        SaveCrops(str(tmp_path / "file"))
    (tmp_path / "unsorted").write_text("")
    with pytest.raises(VidclfError, match=r"^cannot save crops in .*unsorted: "):
        list(SaveCrops(str(tmp_path))(frames([detection(5)])))
    with pytest.raises(UsageError, match="put the stage crop before it"):
        list(SaveCrops(str(tmp_path))(frames([Detection((0, 0, 5, 5))])))


def test_a_full_disk_does_not_end_a_live_run(
    tmp_path: Path, small_disk: AbstractContextManager[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.stages._pause.RETRY", 0)
    noise = Detection((0, 0, 5, 5), crop=np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8))
    live = make_source("0")
    live.live = True
    stage = SaveCrops(str(tmp_path), every=0)
    with small_disk:
        (passed,) = stage(frames([noise], source=live))
        assert passed.detections and saved(tmp_path) == []
        assert "no space left; recording of crops pauses" in stage.pauses[0].reason
        with pytest.raises(VidclfError):  # a file beside it can wait for nothing
            list(stage([*frames([noise], source=live), *frames([noise])]))
    list(stage(frames([noise], source=live)))
    assert len(saved(tmp_path)) == 1


def test_a_full_disk_leaves_no_file(tmp_path: Path, small_disk) -> None:
    noise = Detection((0, 0, 5, 5), crop=np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8))
    with small_disk, pytest.raises(VidclfError, match="cannot save crops in "):
        list(SaveCrops(str(tmp_path))(frames([noise])))
    assert saved(tmp_path) == []
