"""Waits for frames with a time limit, for stages that have other work while none comes, as from a lost camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vidclf.frame import Frame


def awaited(frames: Iterable[Frame], seconds: float) -> Iterator[Frame | None]:
    """Yield the frames of a channel, and None whenever none has come for `seconds`; of other iterables, the frames."""
    wait = getattr(frames, "wait", lambda _: True)
    stream = iter(frames)
    while True:
        if not wait(seconds):
            yield None
        elif (frame := next(stream, None)) is not None:
            yield frame
        else:
            return
