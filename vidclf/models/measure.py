"""The cost of a network: counts multiplications, and measures microseconds per crop on this machine."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from vidclf.models.classifier import Classifier
from vidclf.models.zoo import create


def sizes(name: str) -> tuple[int, int]:
    """(parameters, multiply-accumulates per 28x28 grey crop) of a network for ten classes; nothing is computed.

    Counts convolutions and fully connected layers, as usual; torch counts two operations per multiplication.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model = create(name).eval()
        model(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    return model.parameter_count, counter.get_total_flops() // 2


@torch.inference_mode()
def microseconds(model: Classifier, batch: int, device: str = "cpu", seconds: float = 0.2) -> float:
    """Time per crop in a batch of this size: the median of at least five runs within about `seconds`.

    float32 in torch, with torch's threads; includes copying to the device and back.
    """
    policy = model.preprocess
    crops = torch.randint(0, 256, (batch, policy.channels, policy.size, policy.size), dtype=torch.uint8)

    def work() -> object:
        return model(crops.to(device)).cpu()

    work()  # warm up
    return 1e6 * median(times_of(work, seconds, least=5)) / batch


def times_of(work: Callable[[], object], seconds: float, least: int) -> list[float]:
    """Run `work` repeatedly for about `seconds`, at least `least` times; returns the seconds that each run took."""
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < least or perf_counter() < end:
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return times
