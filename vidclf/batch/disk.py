"""Whether there is enough disk space, before clips are started and while they are written."""

from __future__ import annotations

from time import monotonic

from vidclf.batch.storage import Storage
from vidclf.errors import VidclfError

# Kept free for the manifest and for other programs: the smaller of these two.
RESERVE, RESERVE_SHARE = 64 << 20, 0.05
LOOK_SECONDS = 0.5
ROOM = 1 << 20  # minimum bytes for the results of a clip, whatever its size


class DiskFull(VidclfError):
    """There is no space for more results; finished results are complete."""


class Disk:
    """Compares the free space with what running clips may still write.

    A clip's results are assumed to be as large as the clip, until larger ones were seen in this batch.
    """

    def __init__(self, storage: Storage):
        self._storage = storage
        self._looked, self._free, self._total = float("-inf"), 0, 0
        self._ratio = 1.0  # bytes of results per byte of clips, the largest seen

    def learn(self, clip: int, results: int) -> None:
        """Note the size of a clip and of its results, in bytes."""
        if clip > ROOM:
            self._ratio = max(self._ratio, results / clip)

    def lacks(self, clips: list[int]) -> str | None:
        """Why clips of these sizes (bytes) cannot all be written, as text; None if they can."""
        free, reserve = self._look()
        needed = sum(max(ROOM, int(size * self._ratio)) for size in clips)
        if free >= reserve + needed:
            return None
        return f"{_mb(free)} are free, {_mb(needed)} may be needed for the next results, {_mb(reserve)} must stay free"

    def check(self) -> None:
        """Call this often while clips are written; raises DiskFull when half of the reserve is used, too."""
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
