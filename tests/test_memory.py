import os
import platform
import subprocess
import sys

import pytest

# Blocks that grow in size until glibc would keep them all, with small ones between them that stay.
SCRIPT = """
import ctypes, sys
from pathlib import Path
from vidclf.memory import keep_flat, keep_warm
if sys.argv[1] != "usual":
    assert {"flat": keep_flat, "warm": keep_warm}[sys.argv[1]]()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
for megabytes in (2, 8, 16, 30):
    libc.free(libc.malloc(megabytes << 20))
pictures = []
for _ in range(64):
    pictures.append(libc.malloc(1 << 20))
    ctypes.memset(pictures[-1], 1, 1 << 20)
    libc.malloc(5000)
for picture in pictures:
    libc.free(picture)
line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
print(int(line.split()[1]) // 1024)
"""


def resident(how: str) -> int:
    """Megabytes that a fresh process holds after it freed 64 MB of pictures."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, timeout=60, check=True, env=environment
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_held_pictures_is_handed_back() -> None:
    assert resident("flat") + 50 < resident("usual")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_held_pictures_is_kept_for_the_next() -> None:
    assert resident("warm") > 50
