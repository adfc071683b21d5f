from dataclasses import replace

import pytest
import torch

from tests.runs import SMALL
from vidclf.models import create
from vidclf.training.epoch import Learner, _loss


@pytest.mark.parametrize("blend", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_of_a_blend_the_larger_share_is_right(blend: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect network was right about half of them."""
    config = replace(SMALL, **blend)
    model = create("v1", ["black", "white"])
    crops = torch.tensor([0, 255]).repeat(8)[:, None, None, None].expand(16, 1, 28, 28).to(torch.uint8)

    def perfect(blended: torch.Tensor) -> torch.Tensor:
        white = blended.float().mean(dim=(1, 2, 3)) / 255
        return torch.stack([1 - white, white], dim=1).log()

    learner = Learner(config, 16, 1, model, perfect, model, None, None, "cpu")  # type: ignore[arg-type]
    torch.manual_seed(0)
    for _ in range(20):
        _, right = _loss(learner, crops, torch.tensor([0, 1]).repeat(8), None)
        assert right[:, 0].float().mean() >= 0.9  # shares of a half are anybody's
