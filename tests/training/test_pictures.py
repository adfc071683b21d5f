import errno
import logging
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.pictures import COLOURS, paint, write_classes, write_picture
from vidclf.errors import UsageError
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.training import data
from vidclf.training.picture_file import read_picture
from vidclf.training.pictures import open_folder

COLOUR = Preprocess(size=32, channels=3)


def load(folder: Path, part: str = "train", labels: tuple[str, ...] | None = None) -> data.Dataset:
    return data.load(folder, part, COLOUR, labels=labels)


def test_every_picture_is_made_by_preprocess_and_classes_are_the_folders(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 4)
    write_classes(tmp_path / "test", 3, first=50)
    loaded = load(tmp_path)
    assert loaded.labels == ("blue", "green", "red")
    assert loaded.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert loaded.images.dtype == torch.uint8 and loaded.images.shape == (12, 3, 32, 32)
    expected = crop_picture(cv2.imread(str(tmp_path / "train/green/001.jpg")), COLOUR)
    assert np.array_equal(loaded.images[5].numpy().transpose(1, 2, 0), expected)
    assert len(load(tmp_path, "test")) == 9
    grey = data.load(tmp_path, "test", Preprocess())
    assert grey.images.shape == (9, 1, 28, 28)


def test_without_a_test_folder_a_fifth_of_every_class_is_held_out_always_the_same(tmp_path: Path) -> None:
    write_classes(tmp_path, 10)
    train, test = load(tmp_path), load(tmp_path, "test")
    assert train.targets.bincount().tolist() == [8, 8, 8]
    assert test.targets.bincount().tolist() == [2, 2, 2]
    whole = {image.numpy().tobytes() for image in torch.cat([train.images, test.images])}
    assert len(whole) == 30  # none is in both
    copied = tmp_path.with_name("copied")
    shutil.copytree(tmp_path, copied)
    assert torch.equal(load(copied, "test").images, test.images)
    write_classes(tmp_path, 1, first=99)  # one more a class
    kept = {image.numpy().tobytes() for image in load(tmp_path, "test").images}
    assert len(kept & {image.numpy().tobytes() for image in test.images}) >= 3


def test_where_file_names_repeat_the_held_out_pictures_are_spread_all_the_same(tmp_path: Path) -> None:
    """CLASS/000/image.png ... CLASS/039/image.png: the first fifth was held out, which are pictures of one clip."""
    for colour in ("red", "blue"):
        for i in range(40):
            write_picture(tmp_path / colour / f"{i:03}" / "image.png", paint(colour, i))
    held = {image.numpy().tobytes() for image in load(tmp_path, "test").images}
    first = {crop_picture(paint("red", i), COLOUR).transpose(2, 0, 1).tobytes() for i in range(8)}
    assert len(held) == 16
    assert len(held & first) < 6


def test_all_pictures_of_a_folder_may_be_for_testing(tmp_path: Path) -> None:
    write_classes(tmp_path, 10)
    assert len(data.load(tmp_path, "test", COLOUR, whole=True)) == 30
    assert data.holds_back(tmp_path)
    write_classes(tmp_path / "train", 10)
    write_classes(tmp_path / "test", 4)
    assert len(data.load(tmp_path, "test", COLOUR, whole=True)) == 12
    assert not data.holds_back(tmp_path)


def test_a_folder_that_cannot_be_listed_is_told_unless_it_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was skipped without a word, and so were its pictures."""
    write_classes(tmp_path)
    for name in (".cache", "more"):
        (tmp_path / "red" / name).mkdir()
    scan = os.scandir

    def refuse(place: str | Path) -> object:
        if Path(place).name in (".cache", "more"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError) as raised:
        open_folder(tmp_path, "train")
    assert str(raised.value) == f"{tmp_path / 'red' / 'more'}: Permission denied"
    (tmp_path / "red" / "more").rmdir()
    assert len(open_folder(tmp_path, "train").targets) == 24


def test_linked_folders_are_entered_and_loops_end(tmp_path: Path) -> None:
    write_classes(tmp_path / "pictures", 5)
    write_classes(tmp_path / "more", 3, first=50)
    try:
        (tmp_path / "pictures/red/linked").symlink_to(tmp_path / "more/red", target_is_directory=True)
        (tmp_path / "pictures/red/loop").symlink_to(tmp_path / "pictures/red", target_is_directory=True)
    except OSError:
        pytest.skip("needs symbolic links")
    loaded = data.load(tmp_path / "pictures", "test", COLOUR, whole=True)
    assert loaded.targets.bincount().tolist() == [5, 5, 8]


def test_all_damaged_pictures_are_told_at_once(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 8)
    write_classes(tmp_path / "test", 1)
    for i in range(7):
        (tmp_path / f"train/red/{i:03}.jpg").write_bytes(b"no picture")
    told = problem(tmp_path)
    assert [told.count(f"{i:03}.jpg: not a picture, or damaged (10 bytes)") for i in range(7)] == [1] * 5 + [0] * 2
    assert told.endswith("; and 2 more")


def test_a_valid_folder_is_what_validates(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 10)
    train = load(tmp_path)
    assert [len(part) for part in data.set_aside(train, 0.25, tmp_path, COLOUR)] == [18, 6]
    write_classes(tmp_path / "valid", 2, first=70)
    learning, validation = data.set_aside(train, 0.25, tmp_path, COLOUR)
    assert len(learning) == 24  # a fifth is the test's: there is no test folder
    assert torch.equal(validation.images, load(tmp_path, "valid").images) and len(validation) == 6


def test_targets_follow_the_labels_of_the_weights_by_name(tmp_path: Path) -> None:
    write_classes(tmp_path / "test", 2)
    (tmp_path / "test" / "blue").rename(tmp_path / "test" / "T-shirt_top")
    loaded = load(tmp_path, "test", ("red", "T-shirt/top", "green"))
    assert loaded.labels == ("red", "T-shirt/top", "green")
    assert loaded.targets.tolist() == [1, 1, 2, 2, 0, 0]  # T-shirt_top, green, red
    with pytest.raises(UsageError) as raised:
        load(tmp_path, "test", ("red", "green", "purple"))
    problem = "not the expected classes (only in folder: T-shirt_top; only in expected: purple)"
    assert str(raised.value) == f"{tmp_path / 'test'}: {problem}"


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path, 5)
    (tmp_path / "red").rename(tmp_path / "train")
    assert load(tmp_path).labels == ("blue", "green", "train")


def test_what_is_no_picture_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_classes(tmp_path, 5)
    write_picture(tmp_path / "red" / "more" / "deeper.webp", paint("red", 77))
    for name in (
        "red/.hidden.png",
        "red/Thumbs.db",
        "unsorted/a.png",
        ".cache/b.png",
        "__MACOSX/c.png",
        "note.txt",
        "red/.ipynb_checkpoints/d.png",
        "red/more/__MACOSX/e.png",
        "red/@eaDir/f.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"nothing")
    assert len(load(tmp_path)) + len(load(tmp_path, "test")) == 16
    assert caplog.messages == []
    (tmp_path / "red" / "photo.heic").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).labels == tuple(COLOURS)
    assert caplog.messages == [f"{tmp_path / 'red'}: 1 file is not a picture and was skipped (.heic)"]
    (tmp_path / "red" / "list.csv").write_bytes(b"nothing")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        load(tmp_path)
    assert caplog.messages == [f"{tmp_path / 'red'}: 2 files are not pictures and were skipped (.csv, .heic)"]


@pytest.mark.parametrize("names", [("Train", "Test", "VAL"), ("training", "testing", "validation")])
def test_the_parts_are_known_by_other_names_too(
    tmp_path: Path, names: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    for name, count in zip(names, (5, 3, 2), strict=True):
        write_classes(tmp_path / name, count)
    assert [len(load(tmp_path, part)) for part in ("train", "test", "valid")] == [15, 9, 6]
    train, valid = data.set_aside(load(tmp_path), 0.2, tmp_path, COLOUR)
    assert (len(train), len(valid), caplog.messages) == (15, 6, [])
    write_classes(tmp_path / "valid", 2)
    assert (
        problem(tmp_path)
        == f"{tmp_path}: {min(names[2], 'valid')} and {max(names[2], 'valid')} are two folders for the same part"
    )


def test_what_lies_beside_the_parts_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_classes(tmp_path / "train", 2)
    write_classes(tmp_path / "test", 1)
    for name in ("bus", "car", ".cache", "unsorted"):
        (tmp_path / name).mkdir()
    load(tmp_path)
    load(tmp_path, "test")
    assert caplog.messages == [f"{tmp_path}: ignored, because there are the folders test and train: bus, car"]


def test_two_names_of_one_class_are_refused(tmp_path: Path) -> None:
    write_classes(tmp_path, 2)
    for one, other in (("cat", "cat "), ("caf\u00e9", "cafe\u0301")):
        for name in (one, other):
            (tmp_path / name).mkdir(exist_ok=True)
        if len(list(tmp_path.iterdir())) < 5:
            pytest.skip("this file system takes both names for one")
        first, second = sorted((one, other))
        assert problem(tmp_path) == f"{tmp_path}: {first!a} and {second!a} have the same folder name"
        for name in (one, other):
            (tmp_path / name).rmdir()
    with pytest.raises(UsageError, match=r"labels: 'a/b' and 'a_b' have the same folder name"):
        load(tmp_path, labels=("a/b", "a_b"))


def test_a_class_with_an_accent_as_macos_writes_it(tmp_path: Path) -> None:
    """Its folder is called so on the disk, and its label is not: training ended with an error about subpaths."""
    write_classes(tmp_path, 5)
    (tmp_path / "red").rename(tmp_path / "cafe\u0301")
    for part, count in (("train", 12), ("test", 3)):
        loaded = load(tmp_path, part)
        assert loaded.labels[1] == "caf\u00e9" and len(loaded) == count


def test_names_in_other_encodings(tmp_path: Path) -> None:
    write_classes(tmp_path, 3)
    try:
        (tmp_path / "red" / "000.png").rename(tmp_path / "red" / "caf\udce9.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    assert len(load(tmp_path)) + len(load(tmp_path, "test")) == 9
    (tmp_path / "red").rename(tmp_path / "caf\udce9")
    assert problem(tmp_path) == f"{tmp_path}: the name 'caf\\udce9' is not UTF-8; rename it"


def problem(folder: Path, part: str = "train") -> str:
    with pytest.raises(UsageError) as raised:
        load(folder, part)
    return str(raised.value)


def test_too_little_is_told(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "all", 3)
    (folder / "empty").mkdir()
    assert problem(folder) == f"{folder / 'empty'}: no pictures in this class folder"
    (folder / "empty" / "list.csv").write_text("a,b")
    assert problem(folder) == f"{folder / 'empty'}: no pictures in this class folder, only .csv"
    write_picture(folder / "empty" / "one.png", paint("red", 1))
    told = "only one picture; two are needed, one for training and one for testing"
    assert problem(folder) == f"{folder / 'empty'}: {told}"
    for name in ("empty", "red", "green"):
        shutil.rmtree(folder / name)
    assert problem(folder) == f"{folder}: at least two classes are needed, one folder each; there is only blue"


def test_the_parts_must_have_the_same_classes(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", 2)
    write_classes(tmp_path / "test", 2)
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "rde")
    told = "the classes of train and test differ (only in train: red; only in test: rde)"
    assert problem(tmp_path) == f"{tmp_path}: {told}"
    shutil.rmtree(tmp_path / "train")
    assert problem(tmp_path) == f"{tmp_path}: it has no folder train, only test"


def test_a_damaged_picture_is_named_and_nothing_else_is_said(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    write_classes(tmp_path / "train", 1)
    write_classes(tmp_path / "test", 1)
    noise = np.random.default_rng(0).integers(0, 255, (60, 50, 3), dtype=np.uint8)
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".tiff"):
        for damage in ("cut", "foreign", "empty"):
            path = write_picture(tmp_path / "train" / "red" / f"broken{suffix}", noise)
            whole = path.read_bytes()
            path.write_bytes({"cut": whole[: len(whole) * 2 // 3], "foreign": b"no picture", "empty": b""}[damage])
            told = f"{path}: not a picture, or damaged ({path.stat().st_size:,} bytes)"
            assert problem(tmp_path) == told
            path.unlink()
    path = write_picture(tmp_path / "red" / "broken.png", noise)
    changed = bytearray(path.read_bytes())
    changed[500] ^= 255
    path.write_bytes(changed)
    with pytest.raises(UsageError, match=r"broken\.png: not a picture, or damaged"):
        read_picture(path)
    assert capfd.readouterr().err == ""


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    write_classes(tmp_path, 3)
    (tmp_path / "red" / "000.png").write_bytes(b"broken")
    (tmp_path / "red" / "001.jpg").write_bytes(b"broken")
    found = open_folder(tmp_path, "train")
    assert found.labels == ("blue", "green", "red") and found.read(0)[0].shape[2] == 3
