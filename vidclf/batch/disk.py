"""Whether there is room: for the clips about to be done, and still while they are written."""

from __future__ import annotations

from time import monotonic

from vidclf.batch.storage import Storage
from vidclf.errors import VidclfError

# Kept free for the manifest and for everybody else: the smaller of these two.
RESERVE, RESERVE_SHARE = 64 << 20, 0.05
LOOK_SECONDS = 0.5
ROOM = 1 << 20  # bytes that the results of a clip need at least, whatever its size


class DiskFull(VidclfError):
    """There is no room for more results; what is finished is complete."""


class Disk:
    """Compares the free space with what running clips may still write.

    A clip's results are taken to be as large as itself, until others of this batch have shown more.
    """

    def __init__(self, storage: Storage):
        self._storage = storage
        self._looked, self._free, self._total = float("-inf"), 0, 0
        self._ratio = 1.0  # bytes of results to bytes of clips, the most seen

    def learn(self, clip: int, results: int) -> None:
        """So many bytes came of a clip of so many."""
        if clip > ROOM:
            self._ratio = max(self._ratio, results / clip)

    def lacks(self, clips: list[int]) -> str | None:
        """Why clips of these sizes (bytes) cannot all be written, in words; None if they can."""
        free, reserve = self._look()
        needed = sum(max(ROOM, int(size * self._ratio)) for size in clips)
        if free >= reserve + needed:
            return None
        return f"{_mb(free)} are free, {_mb(needed)} may be needed for the next results, {_mb(reserve)} stay free"

    def check(self) -> None:
        """To be called often while clips are written: DiskFull when half of the reserve is gone, too."""
        free, reserve = self._look()
        if free < reserve / 2:
            raise DiskFull(f"the disk is full: {_mb(free)} are free")

    def _look(self) -> tuple[int, int]:
        if monotonic() - self._looked > LOOK_SECONDS:
            self._free, self._total = self._storage.free()
            self._looked = monotonic()
        return self._free, min(RESERVE, int(self._total * RESERVE_SHARE))


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
