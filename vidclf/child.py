"""Child processes: not hit by the signals of a whole group, gone when their parent is, and how one ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

# Ctrl-C, a closed terminal, and mostly SIGTERM go to the whole process group; the first process decides what to do.
TO_THE_GROUP = [signal.Signals[name] for name in ("SIGINT", "SIGHUP", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def spared() -> Iterator[None]:
    """Processes started in the block never receive the group's signals; this process gets them afterwards.

    They would kill a child that is still importing. Not on Windows.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it with the first child would unblock them again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_THE_GROUP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """In the child, first: ignore the group's signals, and end with the parent, whatever the child is doing then."""
    for number in TO_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def death(code: int | None) -> str:
    """How a process ended, as text."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = "; possibly out of memory" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
