"""Keeps the memory of a run that has no end flat: the one place that tells the C library how to hand memory back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
PICTURE_BYTES = 256 << 10  # what is as large as a picture
TRIM_BYTES = 1 << 20


def keep_flat() -> bool:
    """Have glibc hand back what held a picture as soon as it is freed; False where the C library is another.

    By itself it raises the size from which it does so up to 32 MB, once a large block was freed. Pictures, which are
    allocated in one thread and freed in another, then lie in heaps of several threads with small things between them,
    and these heaps grow for many minutes. For what has an end, that is faster, and harmless.
    """
    with suppress(OSError, TypeError, AttributeError):  # Windows: no library of that name; macOS, musl: no such call
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_MMAP_THRESHOLD, PICTURE_BYTES) and mallopt(M_TRIM_THRESHOLD, TRIM_BYTES))
    return False
