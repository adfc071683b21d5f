from pathlib import Path

import numpy as np
import pytest
import torch

from tests.runs import SMALL, Interrupt, run
from vidclf.errors import UsageError
from vidclf.models import create, save
from vidclf.preprocess import Preprocess
from vidclf.training.config import Config
from vidclf.training.targets import Teacher, load_teachers, soft_targets


def test_a_student_learns_its_teachers_answers(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path / "teacher", pictures, Config(epochs=6, batch=20, lr=0.05, ema=0.9, validation=0.1))
    weights = str(tmp_path / "teacher" / "out.safetensors")
    distilled = {"model": "lean-small", "distill": (weights,), "distill_share": 1.0, "views": 2}
    config = Config(**SMALL.to_dict() | distilled)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", pictures, config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", pictures, config, progress=Interrupt("epoch 3, step 2 "))
    assert run(tmp_path / "broken", pictures, config, resume=True) == whole
    # With a share of 1 the labels say nothing, so this can only have come from the teacher.
    many = Config(**config.to_dict() | {"epochs": 20, "views": 0})  # type: ignore[arg-type]
    assert run(tmp_path / "many", pictures, many)["top1"] >= 60


def test_a_teacher_may_have_its_classes_in_another_order_and_called_like_folders(tmp_path: Path) -> None:
    """Crops that a pipeline saved lie in the folder T-shirt_top, and could not be taught by `lean`."""
    torch.manual_seed(0)
    model = create("v1", ["Trouser", "T-shirt/top", "Bag"]).eval()
    weights = str(save(tmp_path / "teacher.safetensors", model))
    (teacher,) = load_teachers([weights], ["Bag", "T-shirt_top", "Trouser"], Preprocess(), "cpu")
    crops = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        answers = model.probabilities(crops)[:, [2, 1, 0]]
    assert torch.allclose(soft_targets([teacher], crops, 1.0), answers, atol=0.02)  # maybe in bfloat16


def test_a_teachers_classes_of_one_folder_name_stay_apart(tmp_path: Path) -> None:
    labels = ["<5 kg", ">5 kg", "other"]
    weights = str(save(tmp_path / "teacher.safetensors", create("v1", labels)))
    (teacher,) = load_teachers([weights], labels, Preprocess(), "cpu")
    assert teacher.order == [0, 1, 2]


def test_a_teacher_must_know_the_same_classes_and_crops(tmp_path: Path, pictures: Path) -> None:
    save(tmp_path / "ab.safetensors", create("v1", ["a", "b"]))
    with pytest.raises(UsageError, match=r"ab\.safetensors has other classes: a, b"):
        run(tmp_path / "run", pictures, Config(distill=(str(tmp_path / "ab.safetensors"),)))
    save(tmp_path / "big.safetensors", create("lean", preprocess=Preprocess(size=32)))
    with pytest.raises(UsageError, match=r"big\.safetensors takes other crops: 32 pixels and 1 channels"):
        run(tmp_path / "run", pictures, Config(distill=(str(tmp_path / "big.safetensors"),)))
    with pytest.raises(UsageError, match="no pretrained weights for lean"):
        run(tmp_path / "run", pictures, Config(pretrained=True))
    assert not (tmp_path / "run" / "config.json").exists()


def test_large_crops_go_through_a_teacher_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = list[int]()

    class Network:
        def logits(self, batch: np.ndarray) -> np.ndarray:
            sizes.append(len(batch))
            return np.zeros((len(batch), 2), np.float32)

    teacher = Teacher(Network(), [0, 1])  # type: ignore[arg-type]
    assert soft_targets([teacher], torch.zeros(5, 3, 224, 224, dtype=torch.uint8), 1.0).shape == (5, 2)
    assert soft_targets([teacher], torch.zeros(300, 1, 28, 28, dtype=torch.uint8), 1.0).shape == (300, 2)
    assert sizes == [1] * 5 + [256, 44]
