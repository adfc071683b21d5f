"""Keeps the memory of a run that has no end flat: the one place that tells the C library how to hand memory back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
SETTINGS = {
    M_MMAP_THRESHOLD: 256 << 10,  # bytes: what is as large as a picture
    M_TRIM_THRESHOLD: 1 << 20,  # bytes free at a heap's end
    M_ARENA_MAX: 2,  # heaps; without a limit each reconnect's and each segment's threads find others to fill
}


def keep_flat() -> bool:
    """Have glibc hand back what held a picture as soon as it is freed; False where the C library is another.

    To be called before threads begin to allocate.
    By itself it raises the size from which it does so up to 32 MB, once a large block was freed. Pictures, which are
    allocated in one thread and freed in another, then lie in heaps of several threads with small things between them,
    and these heaps grow for many minutes. For what has an end, that is faster, and harmless.
    """
    with suppress(OSError, TypeError, AttributeError):  # Windows: no library of that name; macOS, musl: no such call
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(name, value) for name, value in SETTINGS.items())
    return False
