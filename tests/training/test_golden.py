"""The golden test: one picture through the training path and through the serving path."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.idx import bars, write_bars
from tests.pictures import paint, write_classes, write_picture
from vidclf.channel import Channel
from vidclf.frame import Detection, Frame, Source
from vidclf.models import create, load, save
from vidclf.models.classifier import to_tensor
from vidclf.preprocess import Preprocess
from vidclf.stages.classify import Classify
from vidclf.stages.crop import Crop
from vidclf.training import data


def serve(picture: np.ndarray, weights: Path, mask: np.ndarray | None = None) -> Detection:
    """The picture as an object on a larger frame, after the stages crop and classify."""
    height, width = picture.shape[:2]
    scene = np.full((height + 90, width + 120, 3), 90, np.uint8)
    scene[40 : 40 + height, 70 : 70 + width] = picture
    found = Detection((70, 40, 70 + width, 40 + height), mask=mask)
    frame = Frame(Source("scene", (width + 120, height + 90)), 0, 0, scene, [found])
    stage = Classify(str(weights), device="cpu", backend="torch")  # others agree to 1e-3, see test_predictor.py
    assert list(stage(Channel.of(Crop(like=str(weights))([frame])))) == [frame]
    return found


def assert_equal(found: Detection, trained_on: torch.Tensor, weights: Path) -> None:
    """Byte-equal crops and equal logits, and the probabilities that follow from them."""
    assert found.crop is not None and found.probabilities is not None
    served = to_tensor([found.crop])
    assert served.shape == trained_on.shape and served.numpy().tobytes() == trained_on.numpy().tobytes()
    model = load(weights)
    with torch.inference_mode():
        assert torch.equal(model(served), model(trained_on))
        # Serving needs no torch for its softmax, so the last bit may differ.
        assert np.allclose(found.probabilities, model.probabilities(trained_on)[0].numpy(), rtol=0, atol=1e-6)


def untrained(path: Path, labels: tuple[str, ...], policy: Preprocess) -> Path:
    torch.manual_seed(3)
    return save(path, create("lean", labels, policy))


def test_grey_28_from_idx_files(tmp_path: Path) -> None:
    folder, policy = write_bars(tmp_path / "bars"), Preprocess()
    dataset = data.load(folder, "test", policy, verify=False)
    weights = untrained(tmp_path / "w.safetensors", dataset.labels, policy)
    picture = cv2.cvtColor(bars(50, seed=50)[0][7], cv2.COLOR_GRAY2BGR)
    assert_equal(serve(picture, weights), dataset.images[7:8], weights)


@pytest.mark.parametrize("policy", [Preprocess(), Preprocess(size=64, channels=3), Preprocess(aspect="squash")])
@pytest.mark.parametrize("size", [(150, 90), (31, 47)])
def test_folders_of_pictures(tmp_path: Path, policy: Preprocess, size: tuple[int, int]) -> None:
    """Colour in, in the order blue, green, red, of a size that has to be scaled."""
    folder = write_classes(tmp_path / "pictures", 2)
    picture = paint("green", 123, size)
    write_picture(folder / "test" / "green" / "it.png", picture)
    for part in ("test", "train"):
        for label in ("blue", "green", "red"):
            write_picture(folder / part / label / "other.png", paint(label, 1))
    dataset = data.load(folder, "test", policy)
    weights = untrained(tmp_path / "w.safetensors", dataset.labels, policy)
    assert_equal(serve(picture, weights), dataset.images[1:2], weights)


def test_a_masked_object_and_its_transparent_picture(tmp_path: Path) -> None:
    policy = Preprocess(size=64, channels=3)
    picture, mask = paint("red", 5, (80, 100)), np.zeros((100, 80), bool)
    mask[10:90, 20:70] = True
    for label in ("blue", "red"):
        cut_out = np.dstack([picture, 255 * mask.astype(np.uint8)])
        write_picture(tmp_path / "pictures" / "test" / label / "it.png", cut_out)
    dataset = data.load(tmp_path / "pictures", "test", policy)
    weights = untrained(tmp_path / "w.safetensors", dataset.labels, policy)
    assert_equal(serve(picture, weights, mask), dataset.images[1:2], weights)
