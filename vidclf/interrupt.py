"""Handles Ctrl-C during a run in a program that does not handle it itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from signal import SIGINT, default_int_handler, getsignal, signal
from time import monotonic

log = logging.getLogger(__name__)

ECHO_SECONDS = 0.5  # nobody presses Ctrl-C twice this fast, but `timeout -s INT` signals the child, then its group


@contextmanager
def finish_on_interrupt(stop: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C calls `stop`, and raises KeyboardInterrupt at the end; a second raises it at once.

    Does nothing outside the main thread, or if the program has its own handler for SIGINT.
    """
    came, latest = 0, 0.0
    is_ours = False

    def handle(*_: object) -> None:
        nonlocal came, latest
        if came and monotonic() - latest < ECHO_SECONDS:
            return
        latest = monotonic()
        came += 1
        if came > 1:
            raise KeyboardInterrupt
        stop()
        log.warning("stopping: finishing the frames in progress; press Ctrl-C again to abort")

    with suppress(ValueError):  # this is not the main thread
        if getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, handle)
            is_ours = True
    if not is_ours:
        yield
        return
    try:
        yield
    except Exception as error:
        if came:  # a program that handles the failure and continues must still see the interrupt
            raise KeyboardInterrupt from error
        raise
    finally:
        signal(SIGINT, default_int_handler)
    if came:
        raise KeyboardInterrupt
