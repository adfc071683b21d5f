import pytest
import torch

from vidclf.models import create
from vidclf.models.measure import microseconds, sizes
from vidclf.preprocess import Preprocess


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        # v1 by hand: 24*24*16*25 + 10*10*32*16*9 + 800*512 + 512*10
        ("v1", 420_298, 24 * 24 * 16 * 25 + 10 * 10 * 32 * 16 * 9 + 800 * 512 + 512 * 10),
        # SimpleCNN by hand: 28*28*32*25 + 16*16*64*32*9 + 4096*4096 + 4096*10; its authors' 22.2 million
        ("simple-cnn", 16_841_802, 28 * 28 * 32 * 25 + 16 * 16 * 64 * 32 * 9 + 4096 * 4096 + 4096 * 10),
    ],
)
def test_multiplications_are_those_counted_by_hand(name: str, parameters: int, macs: int) -> None:
    assert sizes(name) == (parameters, macs)


def test_a_crop_costs_less_in_a_batch_and_more_in_a_larger_network() -> None:
    small, large = create("lean-small").eval(), create("lean-large").eval()
    alone, together = microseconds(small, 1, seconds=0.05), microseconds(small, 32, seconds=0.05)
    assert 0 < together < alone
    assert microseconds(large, 32, seconds=0.05) > together


def test_it_measures_with_the_crops_of_the_network() -> None:
    seen: list[tuple[int, ...]] = []
    model = create("lean", ["a", "b"], Preprocess(size=32, channels=3)).eval()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    assert microseconds(model, 2, seconds=0) > 0
    assert seen == [(2, 3, 32, 32)] * 6  # one to prepare, five to measure
    assert torch.is_grad_enabled()
