import subprocess
import sys

import pytest
import torch

from vidclf.errors import UsageError
from vidclf.models import create
from vidclf.models.zoo import FASHION_MNIST, NETWORKS
from vidclf.preprocess import Preprocess


@pytest.mark.parametrize(
    ("name", "count"),
    [("simple-cnn", 16_841_802), ("v1", 420_298), ("v2", 844_362), ("v3", 30_076_234), ("resnet18", 11_181_642)],
)
def test_predecessors_have_their_published_parameter_counts(name: str, count: int) -> None:
    assert create(name).parameter_count == count


def test_lean_has_at_most_300_000_parameters() -> None:
    assert create("lean").parameter_count <= 300_000


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_uint8_crops_and_gives_a_logit_a_class(name: str) -> None:
    grey = create(name).eval()
    assert grey(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 10)
    assert grey.labels == FASHION_MNIST
    colour = create(name, ["cat", "dog", "cow"], Preprocess(size=64, channels=3)).eval()
    assert colour(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape == (2, 3)


def test_normalisation_is_inside_the_network() -> None:
    model = create("lean", mean=0.25, std=0.5).eval()
    seen = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8))
    assert torch.allclose(seen[0], torch.tensor(1.5))


def test_probabilities_are_softened_by_the_temperature() -> None:
    model = create("lean").eval()
    crops = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    sharp = model.probabilities(crops)
    model.temperature = 10.0
    soft = model.probabilities(crops)
    assert torch.allclose(sharp.sum(1), torch.ones(4)) and torch.allclose(soft.sum(1), torch.ones(4))
    assert (soft.amax(1) < sharp.amax(1)).all()


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"unknown model 'leaan' .*lean, simple-cnn, v1, v2, v3, resnet18"):
        create("leaan")


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, vidclf.models.zoo, vidclf.models.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
