from dataclasses import fields

import pytest

from vidclf.training.config import Config
from vidclf.training.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_a_valid_configuration(name: str) -> None:
    config = Config(**RECIPES[name])
    assert name.startswith(config.model)
    assert set(RECIPES[name]) <= {setting.name for setting in fields(Config)}


def test_the_predecessors_figures() -> None:
    """As published; see ../shared/design/predecessors.md of the project's founders."""
    a, b = Config(**RECIPES["simple-cnn-a-crops"]), Config(**RECIPES["v3-b-flip-80"])
    assert (a.lr, a.momentum, a.nesterov, a.schedule, a.batch, a.epochs) == (0.015, 0.9, True, "constant", 256, 300)
    assert (a.shift, a.erase, a.validation, a.normalise) == (4, 0.5, 0.1, "mnist")
    assert (b.lr, b.nesterov, b.milestones, b.gamma, b.batch, b.epochs) == (0.015, False, (40,), 0.3, 128, 80)
    assert (b.validation, b.normalise, b.ema) == (0.0, "none", 0.0)
