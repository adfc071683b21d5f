import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.idx import write_bars, write_idx
from vidclf.errors import UsageError, VidclfError
from vidclf.preprocess import Preprocess
from vidclf.training import data
from vidclf.training.fashion_mnist import FILES, download

PICTURES, TARGETS = (name for name, _ in FILES["train"])


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
