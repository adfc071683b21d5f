"""Several pictures at once on a CPU, each on a share of the detector's threads."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

from vidclf.threads import threads

MOST_AT_ONCE = 4  # each takes memory


def pictures_at_once() -> int:
    """The maximum number of pictures that the detector processes at the same time."""
    return min(threads("detector"), MOST_AT_ONCE)


def pool_for_torch() -> Executor:
    """Threads to run torch in, each on its own pictures.

    So no thread waits, at every layer, for the slowest one that works on the same picture.
    """
    import torch

    def begin() -> None:
        torch.get_num_threads()  # see `torch_threads`
        torch.set_num_threads(threads("detector") // pictures_at_once())

    return ThreadPoolExecutor(pictures_at_once(), "torch", begin)
