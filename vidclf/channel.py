"""The bounded queue between two stages: the only file with a lock that threads wait for."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from math import inf
from threading import Lock
from time import perf_counter

from vidclf.frame import Frame, Source

# Of pictures that may wait in one channel: two of 1080p, one of 4K. It is the limit for large pictures, in place of the
# number of frames. With 24 MB, motion on 1080p took 50 to 80 MB more, and was no faster.
QUEUE_BYTES = 16 << 20
LIVE_BYTES = 24 << 20  # the same for each live source, whose pictures may come in bunches
PATIENCE = 0.03  # seconds that frames may wait for each other, if the network delivers them in a bunch
LATER_PATIENCE = 0.15  # the same for frames that have been worked on already
# Seconds after which a waiting stage wakes up: on Windows, before Python 3.14, Ctrl-C cannot end a wait for a lock, and
# the last stage waits in the main thread.
LOOK_UP = 0.5 if sys.platform == "win32" else None


# A frame, and the bytes of its picture on arrival: a stage that repeats a frame puts the same object twice, and the
# consumer of the first may give it another picture.
Waiting = tuple[Frame, int]


class Aborted(Exception):
    """Raised in a stage when the run failed elsewhere: its output is incomplete and must not look complete."""


class Patience:
    """How long a live source's frame may wait in a channel when a fresher one from its source is there.

    seconds: the initial value. target: the lag to stay below, in seconds; None keeps the value fixed. As in TCP, the
    patience grows by small steps while frames are in time, and shrinks by a factor when they are not.
    """

    def __init__(self, seconds: float = PATIENCE, target: float | None = None):
        self.target = target
        self.seconds = seconds if target is None else min(seconds, target)

    def observe(self, lag: float) -> None:
        """Adapt to the lag of a finished frame."""
        if self.target is not None:
            goal = 0.8 * self.target
            self.seconds = min(self.seconds + 0.02 * goal, goal) if lag < goal else self.seconds * 0.8


class Waits:
    """Threads that wait for a change, how many they are now, and the total time waited, including current waits.

    A `threading.Condition` does the same with more checks: a frame would take a quarter longer to pass an empty stage.
    """

    def __init__(self, lock: Lock):
        self._lock = lock
        self.bells: list[Lock] = []  # one for each who waits: held until it rings
        self._past = self._began = 0.0  # seconds of finished waits; the sum of the start times of current waits
        self._count = 0  # of current waits, including those who have been woken and wait for the lock

    def wait(self, seconds: float | None = None) -> None:
        """Wait until woken, at most `seconds` if given; the caller holds the lock."""
        bell = Lock()
        bell.acquire()
        self.bells.append(bell)
        began = perf_counter()
        self._count += 1
        self._began += began
        try:
            self._lock.release()
            bell.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            try:
                self._take_lock_back()
            finally:
                if bell in self.bells:  # nobody has rung it
                    self.bells.remove(bell)
                self._count -= 1
                self._began -= began
                self._past += perf_counter() - began

    def _take_lock_back(self) -> None:
        """Even if Ctrl-C interrupts that: the caller will release the lock, which must not be another thread's then."""
        taken: list[bool] = []
        try:
            taken.extend(map(self._lock.acquire, (True,)))  # noted before Python looks for signals
        except BaseException:
            if not taken:
                self._take_lock_back()
            raise

    def wake(self) -> None:
        """Wake all; the caller holds the lock."""
        for bell in self.bells:
            bell.release()
        self.bells.clear()

    def seconds(self) -> float:
        """The total time waited."""
        return self._past + self._count * perf_counter() - self._began


class Channel:
    """Frames on their way from one stage to the next, in order.

    size: how many frames may wait; max_bytes limits their pictures, too, but one frame may always wait. Beyond that the
    producer waits for room. A live source never waits: each has these limits to itself, and its oldest frames are
    dropped when a limit, or the patience, is exceeded.
    producers: how many `close()` calls end the stream, since several cameras may share one channel.
    """

    def __init__(self, size: int, producers: int = 1, max_bytes: int = QUEUE_BYTES, patience: Patience | None = None):
        self._size, self._max_bytes = size, max_bytes
        self._patience = patience or Patience()
        self._open_producers = producers
        self.is_shared = producers > 1
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._live: dict[Source, deque[tuple[Waiting, float]]] = {}  # again those of live sources, and since when
        self._settled: dict[Source, int] = {}  # the latest frame that is known to be taken or lost
        self._cancelled = self._failed = False
        self._lock = Lock()
        self._for_room = Waits(self._lock)
        self._for_frames = Waits(self._lock)
        self.lost: Counter[Source] = Counter()  # frames that were put, or offered, and never taken

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Channel:
        """A closed channel that holds `frames`, including live ones, to feed a stage without a pipeline."""
        held = list(frames)
        channel = cls(size=max(1, len(held)), max_bytes=1 << 62, patience=Patience(inf))
        for frame in held:
            channel.put(frame)
        channel.close()
        return channel

    @property
    def put_wait(self) -> float:
        """Seconds that producers waited for room, all together."""
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
        """Pass a frame on, waiting for room; False means that nobody is listening any more."""
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
            if self._for_frames.bells:
                self._for_frames.wake()
            return True

    def take(self, limit: int = 1) -> list[Frame]:
        """Wait for one frame, then return up to `limit` of those already here; [] when the stream has ended.

        Raises Aborted, once what is here has been taken, if the producer failed.
        """
        with self._lock:
            if not self._comes():
                return []
            group = [self._next() for _ in range(min(limit, len(self._waiting)))]
            self._make_room()
            return group

    def take_one(self) -> Frame | None:
        """`take` for a single frame; None when the stream has ended."""
        with self._lock:
            if not self._waiting and not self._comes():
                return None
            frame = self._next()
            if self._for_room.bells:
                self._make_room()
            return frame

    def _comes(self) -> bool:
        """Wait for a frame; False when the stream has ended."""
        while not self._waiting:
            if self._failed:
                raise Aborted
            if not self._open_producers or self._cancelled:
                return False
            self._for_frames.wait(LOOK_UP)
        return True

    def _next(self) -> Frame:
        """Take the first frame out."""
        frame, nbytes = self._waiting.popleft()
        self._bytes -= nbytes
        source = frame.source
        if source.live:
            self._live[source].popleft()
        if frame.index > self._settled.get(source, -1):  # a stage may repeat earlier ones
            self._settled[source] = frame.index
        return frame

    def _make_room(self) -> None:
        """Wake producers once half the room is free: waking them for every frame costs a thread switch each."""
        if len(self._waiting) * 2 <= self._size and self._bytes * 2 <= self._max_bytes:
            self._for_room.wake()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; returns whether `take` would return at once. For a stage that also serves a window."""
        until = perf_counter() + seconds
        with self._lock:
            while not self._answers() and (left := until - perf_counter()) > 0:
                self._for_frames.wait(min(left, LOOK_UP or left))
            return self._answers()

    def _answers(self) -> bool:
        return bool(self._waiting or self._failed or self._cancelled or not self._open_producers)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.take_one, None)

    def close(self, failed: bool = False) -> None:
        """Called by the producer: nothing more is coming; waiting frames can still be taken."""
        with self._lock:
            self._open_producers = max(0, self._open_producers - 1)
            self._failed = self._failed or failed
            self._for_frames.wake()

    def cancel(self, failed: bool = False) -> None:
        """Called by the consumer: nobody is listening; frames that wait, or are still put, are lost and counted.

        failed: the run failed, so a consumer that takes again must not see a normal end of its frames.
        """
        with self._lock:
            self._cancelled = True
            self._failed = self._failed or failed
            for frame, _ in self._waiting:
                self._lose(frame)
            self._waiting.clear()
            self._live.clear()
            self._bytes = 0
            self._for_room.wake()
            self._for_frames.wake()

    def _make_way(self, fresh: Frame) -> None:
        """Drop what `fresh` makes stale; frames of other sources are not touched."""
        now, nbytes = perf_counter(), fresh.image.nbytes
        mine = self._live.setdefault(fresh.source, deque())
        while mine and (
            now - mine[0][1] > self._patience.seconds
            or len(mine) >= self._size
            or (len(mine) + 1) * nbytes > self._max_bytes
        ):
            entry, _ = mine.popleft()
            self._waiting.remove(entry)
            stale, size = entry
            self._bytes -= size
            (after, _), _ = mine[0] if mine else ((fresh, nbytes), now)
            if stale.index != after.index:  # else the next is a repeat of it
                self._lose(stale)
        if not self._cancelled:
            mine.append(((fresh, nbytes), now))

    def _lose(self, frame: Frame) -> None:
        """Count a lost frame once, however often a stage has repeated it."""
        if frame.index > self._settled.get(frame.source, -1):
            self._settled[frame.source] = frame.index
            self.lost[frame.source] += 1
