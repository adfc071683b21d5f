"""Stages for tests of the pipeline: slow, failing, dropping or repeating, and one that remembers how it ended."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep

from tests.frames import Frames, make_frames, make_source
from vidclf.channel import Aborted, Channel
from vidclf.frame import Frame, Source


class Pass:
    """Passes frames on, one by one or in groups; slow or failing if told so."""

    def __init__(self, batch: int = 0, pause: float = 0.0, fail_at: int | None = None, end_at: int | None = None):
        self.batch, self.pause, self.fail_at, self.end_at = batch, pause, fail_at, end_at
        self.seen: list[int] = []
        self.closed = 0

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        try:
            for frame in self.unbatched(frames):
                if frame.index == self.fail_at:
                    raise Broken(f"at {frame.index}")
                if frame.index == self.end_at:
                    return
                if self.pause:
                    sleep(self.pause)
                self.seen.append(frame.index)
                yield frame
        finally:
            self.closed += 1

    def unbatched(self, frames: Channel) -> Iterator[Frame]:
        if not self.batch:
            yield from frames
            return
        while group := frames.take(self.batch):
            yield from group


class Broken(Exception):
    pass


class Every:
    """Passes every n-th frame on."""

    def __init__(self, n: int):
        self.n = n

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from (frame for frame in frames if frame.index % self.n == 0)


class Twice:
    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield frame
            yield frame


class Finalise:
    """A sink that remembers how it ended."""

    def __init__(self) -> None:
        self.ended = ""

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        try:
            yield from frames
            self.ended = "complete"
        except GeneratorExit:
            self.ended = "closed"
            raise
        except Aborted:
            self.ended = "aborted"
            raise


class Camera(Frames):
    """A live source of so many frames at a rate; `None` for a while before them, as while it is absent."""

    live = True

    def __init__(
        self,
        count: int,
        name: str = "camera",
        rate: float = 1000.0,
        absent: int = 0,
        size: tuple[int, int] = (32, 24),
    ):
        super().__init__(count, name)
        self.rate, self.absent, self.size = rate, absent, size
        self.reading: Source | None = None

    def __call__(self, _: object) -> Iterator[Frame | None]:
        self.reading = source = make_source(self.name, self.size)
        source.live, source.state = True, "absent"
        for _ in range(self.absent):
            sleep(0.01)
            yield None
        source.state = "connected"
        for frame in make_frames(self.count, source):
            sleep(1 / self.rate)
            frame.captured = perf_counter()
            yield frame


def no_threads_left() -> bool:
    return not [thread.name for thread in threading.enumerate() if thread.name.startswith("vidclf")]
