import pytest
import torch

from vidclf.training.config import Config
from vidclf.training.optim import LONGEST_WARMUP, learning_rate, make_optimizer, update_average
from vidclf.training.recipes import RECIPES


def rates(**settings: object) -> list[float]:
    config = Config(lr=1.0, epochs=100, **settings)  # type: ignore[arg-type]
    return [learning_rate(config, i / 100) for i in range(101)]


def test_cosine_rises_and_falls() -> None:
    found = rates(warmup=10.0)
    assert found[0] == 0.01
    assert max(found) == pytest.approx(1) and found.index(max(found)) == 10
    assert found[55] == pytest.approx(0.5)
    assert found[100] == pytest.approx(0)
    assert rates(warmup=0.0)[0] == 1


def test_constant_stays() -> None:
    assert set(rates(schedule="constant", warmup=0.0)) == {1.0}


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_short_run_comes_down_too(epochs: int) -> None:
    config = Config(lr=1.0, epochs=epochs)
    found = [learning_rate(config, i / 100) for i in range(101)]
    assert found.index(max(found)) == 20 and max(found) == pytest.approx(1)
    assert found[100] == pytest.approx(0)


@pytest.mark.parametrize("recipe", [*RECIPES, None])
def test_shipped_recipes_warm_up_as_they_say(recipe: str | None) -> None:
    config = Config(**RECIPES[recipe] if recipe else {})
    assert config.warmup / config.epochs <= LONGEST_WARMUP
    assert learning_rate(config, config.warmup / config.epochs) == config.lr


def test_milestones_lower_the_rate_after_their_epoch() -> None:
    found = rates(schedule="milestone", milestones=(40, 80), gamma=0.3, warmup=0.0)
    assert found[39] == 1 and found[40] == pytest.approx(0.3) and found[79] == pytest.approx(0.3)
    assert found[80] == pytest.approx(0.09)


def test_one_cycle_peaks_at_three_tenths() -> None:
    found = rates(schedule="one-cycle")
    assert found[0] == pytest.approx(0.04) and found[30] == pytest.approx(1) and found[100] == pytest.approx(0)
    assert found[:31] == sorted(found[:31]) and found[30:] == sorted(found[30:], reverse=True)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_only_weights_decay(optimizer: str) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    groups = make_optimizer(model, Config(optimizer=optimizer, weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]


def test_the_average_follows() -> None:
    average, model = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(average.weight, 0.0)
    torch.nn.init.constant_(model.weight, 1.0)
    update_average(average, model, 0.75)
    assert average.weight.item() == 0.25
    update_average(average, model, 0.0)
    assert average.weight.item() == 1.0
