"""How many CPU threads each part of a run gets: the one place where the cores are divided.

The parts run at once, each in its own library's threads, and whichever is the slowest decides the speed: each may
use every core, up to the number from which more no longer help it. On large machines that leaves cores for the others;
on small ones the system's scheduler shares them out better than any fixed division would.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from vidclf.errors import UsageError

# In the order in which a frame meets them.
Part = Literal["detector", "classifier", "opencv", "decoder", "encoder"]
VARIABLE = "VIDCLF_THREADS"

# The most threads that still help each part; below that, every core.
# - opencv: its pictures are small: on two cores a second thread made motion no faster, and half as costly again.
# - classifier: small layers, each of which waits for its slowest thread.
# - detector: beyond 32 threads a YOLO of one batch waits for memory, not for arithmetic.
# - decoder: mostly of slices of one picture, of which there are few.
# - encoder: of one picture each; more cost memory, and frames that a crash loses.
MOST: dict[Part, int] = {
    "detector": 32,
    "classifier": 4,
    "opencv": 1,
    "decoder": 4,
    "encoder": 4,
}


def cores() -> int:
    """CPU cores that this run may use: `--threads` or VIDCLF_THREADS, OMP_NUM_THREADS, or what the machine grants."""
    for name in (VARIABLE, "OMP_NUM_THREADS"):
        chosen = os.environ.get(name, "")
        if chosen.isdigit() and int(chosen):
            return int(chosen)
    return granted()


def granted() -> int:
    """CPU cores that the machine grants this process, whatever anybody chose."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def threads(part: Part) -> int:
    """Threads for one part of a run, at least one."""
    return min(MOST[part], cores())


def set_threads(count: int) -> None:
    """Divide so many cores from now on, in this process and in those it starts; UsageError outside 1 to 1024."""
    if not 1 <= count <= 1024:
        raise UsageError(f"threads must be 1 to 1024, got {count}")
    os.environ[VARIABLE] = str(count)


def limit_opencv() -> None:
    """OpenCV has one number for the whole process, and by itself takes every core of the machine."""
    import cv2

    cv2.setNumThreads(threads("opencv"))


def describe() -> str:
    """The division in words: "2 threads for detector, 2 for classifier, ..."."""
    detector, *others = MOST
    return f"{threads(detector)} threads for {detector}, " + ", ".join(f"{threads(part)} for {part}" for part in others)


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Whole cores that a Linux container is granted by time (cgroup v2: "200000 100000" is two); None: no limit."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file; "max"
        return None
