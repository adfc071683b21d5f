import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.idx import bars, write_bars, write_idx
from tests.pictures import write_classes
from vidclf.errors import UsageError, VidclfError
from vidclf.preprocess import Preprocess, crop_picture
from vidclf.training import data
from vidclf.training.fashion_mnist import FILES, download

PICTURES, TARGETS = (name for name, _ in FILES["train"])


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


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[str] = []
    data.load(write_bars(tmp_path), "test", Preprocess(), verify=False, tell=told.append)
    assert len(told) == 50
    assert told[24] == "reading the test pictures, 25 of 50"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((200, 0, 28), "its pictures have no pixels: the header says (200, 0, 28)"),
        ((2**31, 2**31, 4), "0 bytes of data, but the header says (2147483648, 2147483648, 4)"),  # 2**64 bytes
    ],
)
def test_a_header_of_no_pixels_or_too_many_is_refused(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    path = write_bars(tmp_path) / PICTURES
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", *shape)))
    with pytest.raises(UsageError) as raised:
        data.load(tmp_path, "train", Preprocess(), verify=False)
    assert str(raised.value) == f"{path}: {words}"


@pytest.mark.parametrize("below", ["", "raw", "FashionMNIST/raw"])
def test_the_files_may_lie_where_torchvision_puts_them(tmp_path: Path, below: str) -> None:
    write_bars(tmp_path / below)
    assert len(data.load(tmp_path, "test", Preprocess(), verify=False)) == 50


def test_other_data_fail_the_checksum_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte\.gz: checksum is [0-9a-f]{32}.* 8d4fb7e6.*-verify"):
        data.load(write_bars(tmp_path), "train", Preprocess())


def test_a_folder_without_the_files_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"contains neither folders of pictures, one per class, nor Fashion-MNIST \(train-im"
    ):
        data.load(tmp_path, "train", Preprocess())
    with pytest.raises(UsageError, match="is not a folder"):
        data.load(tmp_path / "nosuch", "train", Preprocess())


def test_one_missing_file_is_named(tmp_path: Path) -> None:
    (write_bars(tmp_path) / TARGETS).unlink()
    with pytest.raises(UsageError, match=r"train-labels-idx1-ubyte\.gz: No such file"):
        data.load(tmp_path, "train", Preprocess(), verify=False)


def test_truncated_swapped_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = write_bars(tmp_path) / PICTURES
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(UsageError, match=r"train-images.*not a complete gzip file"):
        data.load(tmp_path, "train", Preprocess(), verify=False)
    path.write_bytes(whole[:600] + bytes(600) + whole[1200:])
    with pytest.raises(UsageError, match=r"train-images.*not a complete gzip file"):
        data.load(tmp_path, "train", Preprocess(), verify=False)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(UsageError, match=r"train-images.*not a complete gzip file"):
        data.load(tmp_path, "train", Preprocess(), verify=False)
    path.write_bytes((tmp_path / TARGETS).read_bytes())
    with pytest.raises(UsageError, match=r"train-images.*not an IDX file of bytes in 3 dimension"):
        data.load(tmp_path, "train", Preprocess(), verify=False)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:-5]))
    with pytest.raises(UsageError, match=r"train-images.*156795 bytes of data, but the header says \(200, 28, 28\)"):
        data.load(tmp_path, "train", Preprocess(), verify=False)


def test_pictures_and_labels_must_fit_each_other(tmp_path: Path) -> None:
    write_bars(tmp_path)
    write_idx(tmp_path / TARGETS, np.zeros(199, np.uint8))
    with pytest.raises(UsageError, match=r"200 pictures in .*199 in"):
        data.load(tmp_path, "train", Preprocess(), verify=False)
    write_idx(tmp_path / TARGETS, np.full(200, 11, np.uint8))
    with pytest.raises(UsageError, match="classes must be 0 to 9, got 11 to 11"):
        data.load(tmp_path, "train", Preprocess(), verify=False)


def test_a_run_among_the_classes_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path / "all")
    write_classes(tmp_path / "parts" / "train")
    write_classes(tmp_path / "parts" / "test")
    for place in ("all", "parts/train", "parts/test"):
        run = tmp_path / place / "runs" / "a"
        with pytest.raises(UsageError) as raised:
            data.check_outside(run, tmp_path / place.partition("/")[0])
        told = f"{run} would be among the class folders in {tmp_path / place}: choose another place with --run FOLDER"
        assert str(raised.value) == told
    data.check_outside(tmp_path / "parts" / "runs", tmp_path / "parts")  # the other folders are not classes


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


def test_offline_the_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    # Every mirror behind a closed port of this machine: the download fails as it does without a network.
    monkeypatch.setattr("torchvision.datasets.FashionMNIST.mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(VidclfError, match=r"Fashion-MNIST cannot be downloaded .*--data FOLDER"):
        data.load(None, "train", Preprocess())


def test_what_was_downloaded_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, _ in (*FILES["train"], *FILES["test"]):
        (raw / name).touch()
    assert download() == raw


def test_fashion_mnist_itself(shared: Path) -> None:
    loaded = data.load(shared, "test", Preprocess())
    assert len(loaded) == 10_000
    assert loaded.targets.bincount().tolist() == [1000] * 10
