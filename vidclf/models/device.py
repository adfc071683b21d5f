"""Where a network runs: the word a user gives, made a torch device that exists."""

from __future__ import annotations

import re

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
