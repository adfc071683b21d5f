import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.idx import bars, write_bars
from tests.pictures import write_classes
from vidclf.errors import UsageError
from vidclf.models.zoo import FASHION_MNIST
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.training import data
from vidclf.training.config import Config
from vidclf.training.progress import Progress


def test_every_picture_is_made_by_preprocess(tmp_path: Path) -> None:
    folder = write_bars(tmp_path)
    pictures, targets = bars(200, seed=200)
    for policy in (Preprocess(), Preprocess(size=20, polarity="dark"), Preprocess(size=32, channels=3)):
        loaded = data.load(folder, "train", policy, verify=False)
        assert loaded.images.dtype == torch.uint8
        assert loaded.images.shape == (200, policy.channels, policy.size, policy.size)
        expected = crop_picture(pictures[17], policy)
        found = loaded.images[17].numpy()
        assert np.array_equal(found[0] if policy.channels == 1 else found.transpose(1, 2, 0), expected)
        assert loaded.targets.tolist() == targets.tolist()


def test_a_run_among_the_classes_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "all")
    write_classes(tmp_path / "parts" / "train")
    write_classes(tmp_path / "parts" / "test")
    for place in ("all", "parts/train", "parts/test"):
        run = tmp_path / place / "runs" / "a"
        with pytest.raises(UsageError) as raised:
            data.check_outside(run, tmp_path / "out.safetensors", tmp_path / place.partition("/")[0])
        told = f"{run} would be among the class folders in {tmp_path / place}: choose another place with --run FOLDER"
        assert str(raised.value) == told
    fine = tmp_path / "parts" / "runs"  # the other folders are not classes
    data.check_outside(fine, fine / "out.safetensors", tmp_path / "parts")
    data.check_outside(fine, tmp_path / "all" / "out.safetensors", tmp_path / "all")  # a file is none, either
    with pytest.raises(UsageError) as raised:
        data.check_outside(fine, tmp_path / "all" / "models" / "out.safetensors", tmp_path / "all")
    place = tmp_path / "all"
    told = f"{place / 'models'} would be among the class folders in {place}: choose another place with -o FILE"
    assert str(raised.value) == told


def test_the_split_takes_the_same_share_of_every_class_whatever_the_seed() -> None:
    targets = torch.tensor([0] * 100 + [1] * 40 + [2] * 20)
    whole = data.Dataset(torch.arange(160, dtype=torch.uint8).reshape(160, 1, 1, 1), targets, ("a", "b", "c"))
    torch.manual_seed(1)
    rest, taken = data.split(whole, 0.1)
    assert taken.targets.bincount().tolist() == [10, 4, 2]
    assert sorted(rest.images.flatten().tolist() + taken.images.flatten().tolist()) == list(range(160))
    torch.manual_seed(2)
    assert torch.equal(taken.images, data.split(whole, 0.1)[1].images)
    assert taken.images.flatten().tolist()[:10] != list(range(10))  # not simply the first ones
    assert len(data.split(whole, 0.0)[1]) == 0


def test_a_rare_class_has_a_say_in_the_validation() -> None:
    targets = torch.tensor([0] * 200 + [1] * 9 + [2] * 3 + [3] * 2)
    whole = data.Dataset(torch.zeros(len(targets), 1, 1, 1, dtype=torch.uint8), targets, tuple("abcd"))
    assert data.split(whole, 0.05)[1].targets.bincount(minlength=4).tolist() == [10, 1, 1, 0]
    assert len(data.split(whole, 0.0)[1]) == 0


def test_classes_of_one_folder_name_stay_apart() -> None:
    images, targets, labels = torch.zeros(3, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 1, 2]), ("<5", ">5", "c")
    renamed = data.Dataset(images, targets, labels).named_as(labels)
    assert (renamed.targets.tolist(), renamed.labels) == ([0, 1, 2], labels)


@pytest.mark.parametrize("labels", [(), FASHION_MNIST[::-1]])
def test_numbered_classes_in_the_order_of_the_first_weights_are_tested_by_name(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    """The training targets were put in that order, and the test targets were not: 100 % there, 40 % here."""
    config, before = Config(labels=labels), sorted(FASHION_MNIST)
    parts = data.load_parts(config, write_bars(tmp_path), Preprocess(), before, False, Progress(quiet=True))
    assert parts.test.labels == parts.labels == tuple(before)
    names = labels or FASHION_MNIST
    assert [before[target] for target in parts.test.targets] == [names[target] for target in bars(50, seed=50)[1]]


def test_the_test_part_may_be_spelled_otherwise(tmp_path: Path) -> None:
    """Folders from a Mac have decomposed accents, which are sorted otherwise: test pictures got other classes."""
    for part, form in (("train", "NFD"), ("test", "NFC")):
        for number, name in enumerate(("Éléphant", "Zebra")):
            folder = tmp_path / part / unicodedata.normalize(form, name)
            folder.mkdir(parents=True)
            for copy in range(3):
                cv2.imwrite(str(folder / f"{copy}.png"), np.full((28, 28), 100 * number + 50 + copy, np.uint8))
    parts = data.load_parts(Config(validation=0), tmp_path, Preprocess(), (), False, Progress(quiet=True))
    assert parts.test.labels == parts.labels
    shown = {parts.labels[t]: int(i.max()) > 100 for i, t in zip(parts.test.images, parts.test.targets, strict=True)}
    assert shown == {"Zebra": True, "Éléphant": False}


def test_rare_classes_weigh_more() -> None:
    targets = torch.tensor([0] * 30 + [1] * 10)
    weights = data.class_weights(targets, 2)
    assert weights.dtype == torch.float32
    assert weights[1] / weights[0] == pytest.approx(3)
    assert weights[targets].mean() == pytest.approx(1)
    # Classes that validation took whole neither count nor change what the others do.
    assert data.class_weights(targets, 4).tolist() == [*weights.tolist(), 0, 0]


def test_the_digest_tells_data_apart() -> None:
    images, targets = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    one = data.Dataset(images, targets, ("a", "b"))
    assert one.digest() == data.Dataset(images.clone(), targets.clone(), ("a", "b")).digest()
    assert one.digest() != data.Dataset(images + 1, targets, ("a", "b")).digest()
    assert one.digest() != data.Dataset(images, targets.flip(0), ("a", "b")).digest()
