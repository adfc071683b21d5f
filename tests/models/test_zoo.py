import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from vidclf.errors import UsageError, VidclfError
from vidclf.models import create
from vidclf.models.zoo import FASHION_MNIST, NETWORKS
from vidclf.preprocess import Preprocess


@pytest.mark.parametrize(
    ("name", "count"),
    [("simple-cnn", 16_841_802), ("v1", 420_298), ("v2", 844_362), ("v3", 30_076_234), ("resnet18", 11_181_642)],
)
def test_predecessors_have_their_published_parameter_counts(name: str, count: int) -> None:
    assert create(name).parameter_count == count


@pytest.mark.parametrize(("name", "most"), [("lean", 300_000), ("lean-small", 130_000)])
def test_our_own_are_small(name: str, most: int) -> None:
    assert create(name).parameter_count <= most


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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: object, **__: object) -> None:
        raise URLError("Network is unreachable")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    return tmp_path / "hub" / "checkpoints"


def test_pretrained_weights_are_torchvisions(cache: Path) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    torch.manual_seed(4)
    theirs = resnet18().state_dict()
    cache.mkdir(parents=True)
    torch.save(theirs, cache / ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    model = create("resnet18", ["cat", "dog"], pretrained=True).eval()
    ours = {name.removeprefix("network."): value for name, value in model.network.state_dict().items()}
    assert [name for name in theirs if not torch.equal(theirs[name], ours[name])] == ["fc.weight", "fc.bias"]
    assert model(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)).shape == (1, 2)


def test_pretrained_weights_that_cannot_be_had(cache: Path) -> None:
    with pytest.raises(
        VidclfError, match=r"resnet18 cannot be downloaded \(.*unreachable.*\): put https://.*\.pth into"
    ):
        create("resnet18", pretrained=True)
    with pytest.raises(UsageError, match=r"no pretrained weights for lean \(available for: resnet18\)"):
        create("lean", pretrained=True)
    with pytest.raises(UsageError, match="init has no effect on pretrained weights: it must be own, got 'b'"):
        create("resnet18", pretrained=True, init="b")


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_crops_too_small_for_a_network_are_refused(name: str) -> None:
    assert create(name, preprocess=Preprocess(size=12))(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    with pytest.raises(UsageError, match="v1 and v2 need crops of at least 12x12 pixels, got 11"):
        create(name, preprocess=Preprocess(size=11))


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(
        UsageError, match=r"unknown model 'leaan' .*lean, lean-small, lean-large, simple-cnn, v1, v2, v3, resnet18"
    ):
        create("leaan")


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, vidclf.models.zoo, vidclf.models.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_resnet18_takes_colour_in_the_order_that_imagenet_has() -> None:
    """Crops are blue, green, red."""
    network = create("resnet18", preprocess=Preprocess(size=32, channels=3)).network.eval()
    blue_first = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(blue_first), network.network(blue_first[:, [2, 1, 0]]))
