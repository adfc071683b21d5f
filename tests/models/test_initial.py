import pytest
import torch
from torch import nn

from vidclf.errors import UsageError
from vidclf.models import create
from vidclf.models.initial import INITS, initialise


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Flatten(), nn.Linear(128, 10))


def test_own_changes_nothing() -> None:
    before = network().state_dict()
    after = initialise(network(), "own").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_xavier_uniform_draws_the_weights_of_convolutions_alone() -> None:
    before, after = network().state_dict(), initialise(network(), "xavier-uniform").state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["0.weight"]
    bound = (6 / (64 * 9 + 128 * 9)) ** 0.5  # Glorot and Bengio 2010
    assert 0.99 * bound < after["0.weight"].abs().max() <= bound


def test_b_draws_convolutions_and_normalisations() -> None:
    before, after = network().state_dict(), initialise(network(), "b").state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["0.weight", "0.bias", "1.weight"]  # the normalisation's bias is 0 before and after
    assert float(after["0.weight"].std()) == pytest.approx((2 / (64 * 9 + 128 * 9)) ** 0.5, rel=0.02)
    assert float(after["0.bias"].std()) == pytest.approx(1, rel=0.2)
    assert float(after["1.weight"].mean()) == pytest.approx(1, abs=0.01)
    assert float(after["1.weight"].std()) == pytest.approx(0.02, rel=0.2)
    assert not after["1.bias"].any()


def test_b_has_no_bias_to_draw_where_there_is_none() -> None:
    assert initialise(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False)), "b")[0].bias is None


@pytest.mark.parametrize(("name", "biased"), [("v2", True), ("simple-cnn", False)])
def test_the_predecessors_networks_start_as_their_authors_did(name: str, biased: bool) -> None:
    torch.manual_seed(1)
    first = next(module for module in create(name).modules() if isinstance(module, nn.Conv2d))
    weight = first.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (weight[0].numel() + weight[:, 0].numel())) ** 0.5, rel=0.1)
    assert first.bias is not None
    assert (float(first.bias.detach().std()) > 0.5) == biased  # N(0, 1), or torch's small uniform ones


def test_create_takes_an_init() -> None:
    norm = next(m for m in create("lean", init="b").modules() if isinstance(m, nn.BatchNorm2d))
    assert not torch.equal(norm.weight, torch.ones_like(norm.weight))
    with pytest.raises(UsageError, match=r"unknown init 'kaiming' \(available: own, xavier-uniform, b\)"):
        create("lean", init="kaiming")
    assert list(INITS) == ["own", "xavier-uniform", "b"]
