"""Durations and sizes as people write them: 10m, 1h30m, 500ms, 7d, 50G."""

from __future__ import annotations

import re
from reprlib import repr as shown  # of a value that may be long

from vidclf.errors import UsageError

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
MOST = 100 * 365 * 86_400.0  # seconds; in the ticks of any clock, this is still a number that FFmpeg can hold
LARGEST = 1e15  # of the number before a unit; beyond it, another size makes no difference
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}  # decimal, as disks are sold


def to_seconds(value: float | str, what: str, zero: bool = False) -> float:
    """Convert 90s, 10m, 1h30m, 7d, or a number, to seconds. UsageError names `what`; zero: whether it may be 0."""
    text = str(value).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw]?)", text)
    seconds = sum(float(number) * SECONDS[unit or "s"] for number, unit in parts)
    if seconds > MOST:
        raise UsageError(f"{what} must be a time of at most 100 years, got {shown(value)}")
    if not text or "".join(number + unit for number, unit in parts) != text or (seconds == 0 and not zero):
        raise UsageError(f"{what} must be a time{'' if zero else ' above 0'}, like 90s, 10m or 1h30m, got {value!r}")
    return seconds


def to_bytes(value: int | str, what: str) -> int:
    """Convert 500M, 50G, 1.5T (powers of 1000), or a number, to bytes. UsageError names `what`; must be above 0."""
    text = str(value).strip().lower().removesuffix("b")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)", text)
    size = int(min(float(match[1]), LARGEST) * BYTES[match[2]]) if match else 0
    if size <= 0:
        raise UsageError(f"{what} must be a size above 0, like 500M or 50G, got {value!r}")
    return size
