"""Ctrl-C, SIGTERM and a closed terminal ask a run to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console

from vidclf.interrupt import ECHO_SECONDS

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
BREAK: signal.Signals | None = getattr(signal, "SIGBREAK", None)  # Ctrl-Break, only Windows has it


class Stoppable(Protocol):
    """A run that can be asked to end."""

    def stop(self) -> None: ...


@contextmanager
def stop_on_signals(run: Stoppable, console: Console, inside: str = "the frames in progress") -> Iterator[list[int]]:
    """The first Ctrl-C (or SIGTERM, or Ctrl-Break) asks the run to stop after what is `inside`; the second aborts.

    A signal that follows within `ECHO_SECONDS` counts as the same one. Yields the list of signals received so far.
    A closed terminal stops it, too, but never aborts it; not if SIGHUP is ignored, as under nohup.
    """
    came: list[int] = []
    latest = 0.0

    def handle(number: int, _: object) -> None:
        nonlocal latest
        if number == HANGUP:
            console.quiet = True  # every attempt to write to a closed terminal would fail
        if came and (number == HANGUP or monotonic() - latest < ECHO_SECONDS):
            return
        latest = monotonic()
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        run.stop()
        console.print(f"stopping: finishing {inside}; press Ctrl-C again to abort")

    signals = [signal.SIGINT, signal.SIGTERM] + ([BREAK] if BREAK else [])
    if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
        signals.append(HANGUP)
    before = [signal.signal(number, handle) for number in signals]
    try:
        yield came
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
