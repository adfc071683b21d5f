"""Memory: keeps that of an endless run flat, and measures the most that was used."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import psutil

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
FLAT = {
    M_MMAP_THRESHOLD: 256 << 10,  # bytes: blocks as large as a picture
    M_TRIM_THRESHOLD: 1 << 20,  # bytes free at a heap's end
    M_ARENA_MAX: 2,  # heaps; without a limit, the threads of each reconnect and segment fill new ones
}
WARM = {
    M_MMAP_THRESHOLD: 32 << 20,  # the largest that glibc allows: pictures come from the heaps
    M_TRIM_THRESHOLD: 256 << 20,
}


def keep_warm() -> bool:
    """Make glibc keep a picture's memory for the next one, in a run with an end; False with another C library.

    By default the system takes it back, and has to clear it again for every picture: a motion run at 1280x720 takes 26
    and 31 ms of CPU time a frame instead of 34 and 35 (two runs each, an Intel Xeon with two cores).
    """
    return _set(WARM)


def keep_flat() -> bool:
    """Make glibc return a picture's memory as soon as it is freed, in an endless run; False with another C library.

    Call it before threads begin to allocate.
    By default glibc raises the threshold for this to as much as 32 MB once a large block is freed. Pictures, which are
    allocated in one thread and freed in another, then lie in several threads' heaps with small objects between them,
    and these heaps grow for many minutes.
    """
    return _set(FLAT)


def _set(settings: dict[int, int]) -> bool:
    with suppress(OSError, TypeError, AttributeError):  # Windows: no library of that name; macOS, musl: no such call
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(name, value) for name, value in settings.items())
    return False


def peak_rss() -> int:
    """The peak resident memory of this process so far, in bytes."""
    with suppress(OSError):  # Linux: the resource module would include the program that started this one
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    except ImportError:  # Windows
        return psutil.Process().memory_info().peak_wset
