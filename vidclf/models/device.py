"""Where a network runs: the word a user gives, made a torch device that exists; and on how many of the CPU's cores."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vidclf.errors import UsageError


def check_device(device: str) -> str:
    """The word itself, if it is auto, cpu, cuda or cuda:N; raises UsageError on others; does not import torch."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    return device


def choose_device(device: str = "auto") -> str:
    """The torch device of that word, auto being the first GPU or else the CPU; raises UsageError if it is not there."""
    if check_device(device) == "cpu":
        return device
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if count else "cpu"
    if int(device.partition(":")[2] or 0) >= count:
        raise UsageError(f"device {device} is not there: {count} CUDA device(s) found")
    return device


@contextmanager
def torch_threads(share: float = 1.0) -> Iterator[None]:
    """Inside, this thread's torch work uses that share of the cores (OMP_NUM_THREADS of them, where that is set).

    Every thread that runs a network has to say how many: torch gives a thread that has not the number that another
    one happened to set last.
    """
    import torch

    torch.get_num_threads()  # a thread's first call takes the number set last, over its own if it has one already
    torch.set_num_threads(max(1, int(_cores() * share)))
    try:
        yield
    finally:
        torch.set_num_threads(_cores())


def _cores() -> int:
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen):
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
