"""The bounded queue between two stages: the only file with a lock."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from math import inf
from threading import Condition, Lock
from time import perf_counter

from vidclf.frame import Frame, Source

QUEUE_BYTES = 24 << 20  # pictures that may wait in one channel: at 4K this, not the number of frames, is the bound
PATIENCE = 0.03  # seconds: frames that the network delivers in a bunch may wait for each other so long
LATER_PATIENCE = 0.15  # and frames on which work has been done already
# Seconds after which a stage that waits looks up: on Windows, before Python 3.14, Ctrl-C cannot end a wait for a lock,
# and the last stage waits in the main thread.
LOOK_UP = 0.5 if sys.platform == "win32" else None


# A frame, and the bytes of its picture when it came: a stage that repeats a frame hands on the same object twice, and
# whoever takes the first may give it another picture.
Waiting = tuple[Frame, int]


class Aborted(Exception):
    """Raised in a stage when the run failed elsewhere: what it made is not complete and must not look so."""


class Patience:
    """How long a live source's frame may wait in a channel while a fresher one of its source is there.

    seconds: what it is at first. target: the lag to keep below, in seconds; None leaves it as it is. As in TCP, the
    patience grows by small steps while frames are in time, and shrinks by a factor when they are not.
    """

    def __init__(self, seconds: float = PATIENCE, target: float | None = None):
        self.target = target
        self.seconds = seconds if target is None else min(seconds, target)

    def observe(self, lag: float) -> None:
        """Learn the lag of a frame that is finished."""
        if self.target is not None:
            goal = 0.8 * self.target
            self.seconds = min(self.seconds + 0.02 * goal, goal) if lag < goal else self.seconds * 0.8


class Waits:
    """A condition that knows how many wait on it now, and how long all of them waited so far, those of now included."""

    def __init__(self, lock: Lock):
        self.condition = Condition(lock)
        self.waiting = 0
        self._past = self._began = 0.0  # seconds of waits that are over; the sum of the moments when the others began

    def wait(self, seconds: float | None = None) -> None:
        began = perf_counter()
        self.waiting += 1
        self._began += began
        self.condition.wait(seconds)
        self.waiting -= 1
        self._began -= began
        self._past += perf_counter() - began

    def seconds(self) -> float:
        return self._past + self.waiting * perf_counter() - self._began


class Channel:
    """Frames on their way from one stage to the next, in order.

    size: how many frames may wait; max_bytes bounds their pictures too, but one frame may always wait. For them the
    producer waits for room. A live source never waits: its frames have these bounds to themselves, and the oldest
    are forgotten when the bounds, or the patience, are exceeded.
    producers: how many `close()` calls end the stream, as several cameras may share one channel.
    """

    def __init__(self, size: int, producers: int = 1, max_bytes: int = QUEUE_BYTES, patience: Patience | None = None):
        self._size, self._max_bytes = size, max_bytes
        self._patience = patience or Patience()
        self._open_producers = producers
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._live: dict[Source, deque[tuple[Waiting, float]]] = {}  # those of live sources again, and since when
        self._settled: dict[Source, int] = {}  # the latest frame of which it is known whether it got through
        self._cancelled = self._failed = False
        self._lock = Lock()
        self._for_room = Waits(self._lock)
        self._for_frames = Waits(self._lock)
        self.lost: Counter[Source] = Counter()  # frames that were put, or offered, and never taken

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Channel:
        """A closed channel that holds `frames`, live ones too: feeds a stage without a pipeline."""
        held = list(frames)
        channel = cls(size=max(1, len(held)), max_bytes=1 << 62, patience=Patience(inf))
        for frame in held:
            channel.put(frame)
        channel.close()
        return channel

    @property
    def put_wait(self) -> float:
        """Seconds that producers waited for room."""
        with self._lock:
            return self._for_room.seconds()

    @property
    def take_wait(self) -> float:
        """Seconds that the consumer waited for frames."""
        with self._lock:
            return self._for_frames.seconds()

    @property
    def depth(self) -> int:
        """How many frames are waiting now."""
        return len(self._waiting)

    def put(self, frame: Frame) -> bool:
        """Hand a frame on, waiting for room; False means that nobody is listening any more."""
        nbytes = frame.image.nbytes
        waiting = self._waiting
        with self._lock:
            if frame.source.live:
                self._make_way(frame)
            else:
                while waiting and (len(waiting) >= self._size or self._bytes + nbytes > self._max_bytes):
                    self._for_room.wait()
            if self._cancelled:
                self._lose(frame)
                return False
            waiting.append((frame, nbytes))
            self._bytes += nbytes
            if self._for_frames.waiting:  # a notify to nobody costs as much as the whole put
                self._for_frames.condition.notify()
            return True

    def take(self, limit: int = 1) -> list[Frame]:
        """Wait for one frame, then return up to `limit` of those already here; [] when the stream has ended.

        Raises Aborted, once what is here has been taken, if the producer failed.
        """
        waiting = self._waiting
        with self._lock:
            while not waiting:
                if self._failed:
                    raise Aborted
                if not self._open_producers or self._cancelled:
                    return []
                self._for_frames.wait(LOOK_UP)
            group: list[Frame] = []
            while waiting and len(group) < limit:
                frame, nbytes = waiting.popleft()
                self._bytes -= nbytes
                if frame.source.live:
                    self._live[frame.source].popleft()
                if frame.index > self._settled.get(frame.source, -1):
                    self._settled[frame.source] = frame.index
                group.append(frame)
            # A producer is woken once half the room is free: waking it for every frame costs a thread switch each.
            if self._for_room.waiting and len(waiting) * 2 <= self._size and self._bytes * 2 <= self._max_bytes:
                self._for_room.condition.notify(self._for_room.waiting)
            return group

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; whether `take` would now answer at once. For a stage with a window to look after."""
        until = perf_counter() + seconds
        with self._lock:
            while not self._answers() and (left := until - perf_counter()) > 0:
                self._for_frames.wait(min(left, LOOK_UP or left))
            return self._answers()

    def _answers(self) -> bool:
        return bool(self._waiting or self._failed or self._cancelled or not self._open_producers)

    def __iter__(self) -> Iterator[Frame]:
        while group := self.take():
            yield group[0]

    def close(self, failed: bool = False) -> None:
        """The producer's word: nothing more is coming; what is here can still be taken."""
        with self._lock:
            self._open_producers -= 1
            self._failed = self._failed or failed
            self._for_frames.condition.notify_all()

    def cancel(self, failed: bool = False) -> None:
        """The consumer's word: nobody is listening; whatever waits, or is still offered, is lost and counted.

        failed: it is the run's, and the consumer, should it come once more, must not take it for the end of its frames.
        """
        with self._lock:
            self._cancelled = True
            self._failed = self._failed or failed
            for frame, _ in self._waiting:
                self._lose(frame)
            self._waiting.clear()
            self._live.clear()
            self._bytes = 0
            self._for_room.condition.notify_all()
            self._for_frames.condition.notify_all()

    def _make_way(self, fresh: Frame) -> None:
        """Forget what `fresh` makes stale; the frames of other sources are left alone."""
        now, nbytes = perf_counter(), fresh.image.nbytes
        mine = self._live.setdefault(fresh.source, deque())
        while mine and (
            now - mine[0][1] > self._patience.seconds
            or len(mine) >= self._size
            or (len(mine) + 1) * nbytes > self._max_bytes
        ):
            stale, _ = mine.popleft()
            self._waiting.remove(stale)
            self._bytes -= stale[1]
            if stale[0].index != (mine[0][0][0] if mine else fresh).index:  # or the next is the same once more
                self._lose(stale[0])
        if not self._cancelled:
            mine.append(((fresh, nbytes), now))

    def _lose(self, frame: Frame) -> None:
        """Count a frame that never gets through, once, however often a stage has repeated it."""
        if frame.index > self._settled.get(frame.source, -1):
            self._settled[frame.source] = frame.index
            self.lost[frame.source] += 1
