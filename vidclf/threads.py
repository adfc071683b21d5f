"""Decides how many CPU threads each part of a run gets; the only place where cores are divided.

The parts run at the same time, each in its own library's threads, and the slowest decides the speed. So each may use
every core, up to the number beyond which more do not help. On large machines that leaves cores for the others; on small
ones the system's scheduler shares them better than any fixed division would.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from vidclf.limits import check_range

# In the order in which a frame meets them.
Part = Literal["detector", "classifier", "opencv", "decoder", "encoder"]
VARIABLE = "VIDCLF_THREADS"
MOST_CORES = 1024

# The largest number of threads that still helps each part; with fewer cores, every core.
# - opencv: its pictures are small: on two cores a second thread made motion no faster, but 1.5 times as costly.
# - classifier: small layers, each of which waits for its slowest thread.
# - detector: beyond 32 threads, YOLO on one batch waits for memory, not for arithmetic.
# - decoder: threads mostly decode slices of one picture, of which there are few.
# - encoder: each thread encodes one picture; more cost memory, and frames that a crash loses.
MOST: dict[Part, int] = {
    "detector": 32,
    "classifier": 4,
    "opencv": 1,
    "decoder": 4,
    "encoder": 4,
}
# The share of the classifier's threads that it uses in torch: those spin while they wait for each other, at every
# layer, and other stages could use their cores.
CLASSIFIER_IN_TORCH = 0.5


def cores() -> int:
    """CPU cores that this run may use: `--threads` or VIDCLF_THREADS, OMP_NUM_THREADS, or all available."""
    for name in (VARIABLE, "OMP_NUM_THREADS"):
        chosen = os.environ.get(name, "")
        if chosen.isdecimal() and (count := int(chosen[:9])):  # of more digits, these are enough
            return min(count, MOST_CORES)
    return granted()


def granted() -> int:
    """CPU cores that the system allows this process, regardless of any setting."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def threads(part: Part) -> int:
    """Threads for one part of a run, at least one."""
    return min(MOST[part], cores())


def set_threads(count: int) -> None:
    """Set the number of cores to divide, in this process and those it starts; UsageError outside 1 to 1024."""
    check_range("threads", count, 1, MOST_CORES)
    os.environ[VARIABLE] = str(count)


def limit_opencv() -> None:
    """Limit OpenCV's threads: it has one number per process, and by default uses every core."""
    import cv2

    cv2.setNumThreads(threads("opencv"))


def describe() -> str:
    """The division in words: "2 threads for detector, 2 for classifier, ..."."""
    detector, *others = MOST
    return f"{threads(detector)} threads for {detector}, " + ", ".join(f"{threads(part)} for {part}" for part in others)


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Whole cores that a Linux container may use by time (cgroup v2: "200000 100000" is two); None: no limit."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file; "max"
        return None
