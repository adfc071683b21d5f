from pathlib import Path

import pytest
import torch

from tests.idx import write_bars
from tests.runs import run
from vidclf.errors import UsageError
from vidclf.training.config import Config
from vidclf.training.learner import measure


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pixels_are_measured_without_a_copy_of_them(channels: int) -> None:
    """As 32-bit floats they took four times the memory of all the pictures."""
    images = (torch.rand(50, channels, 28, 28, generator=torch.Generator().manual_seed(0)) ** 2 * 255).byte()
    std, mean = torch.std_mean(images.double() / 255)
    assert measure(images) == (pytest.approx(float(mean), abs=6e-5), pytest.approx(float(std), abs=6e-5))
    assert measure(torch.full((2, 1, 28, 28), 51, dtype=torch.uint8)) == (0.2, 1e-4)


def test_one_crop_is_too_little(tmp_path: Path) -> None:
    one = write_bars(tmp_path / "one", train=1, test=10)
    with pytest.raises(UsageError, match=r"^too few training pictures: 1, at least 2 are needed$"):
        run(tmp_path / "run", one, Config(model="v1"))
    assert not (tmp_path / "run").exists()


def test_a_handful_of_crops_suffices_for_batch_normalisation(tmp_path: Path) -> None:
    few = write_bars(tmp_path / "few", train=10, test=10)
    run(tmp_path / "run", few, Config(model="resnet18", epochs=1))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
