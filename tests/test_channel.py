from __future__ import annotations

import runpy
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Lock, Thread
from time import sleep

import pytest

import vidclf.channel
from tests.frames import make_frames, make_source
from vidclf.channel import PATIENCE, Aborted, Channel, Patience, Waits
from vidclf.frame import Source


def indices(frames: object) -> list[int]:
    return [frame.index for frame in frames]  # type: ignore[attr-defined]


def test_frames_come_out_in_order() -> None:
    assert indices(Channel.of(make_frames(5))) == [0, 1, 2, 3, 4]


def test_a_channel_of_given_frames_keeps_all_of_a_live_source_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(step=10)  # so many seconds pass between two frames
    monkeypatch.setattr("vidclf.channel.perf_counter", lambda: next(clock))
    assert indices(Channel.of(make_frames(5, make_camera()))) == [0, 1, 2, 3, 4]


def test_take_returns_what_is_here_and_no_more_than_the_limit() -> None:
    channel = Channel.of(make_frames(5))
    assert indices(channel.take(3)) == [0, 1, 2]
    assert indices(channel.take(3)) == [3, 4]
    assert channel.take(3) == []


def test_put_waits_for_room_and_the_wait_is_measured() -> None:
    channel, done = Channel(size=1), []
    frames = list(make_frames(2))

    def produce() -> None:
        done.extend(channel.put(frame) for frame in frames)

    thread = Thread(target=produce)
    thread.start()
    sleep(0.05)
    assert done == [True]  # the second is still waiting
    assert indices(channel.take()) == [0]
    assert indices(channel.take()) == [1]
    thread.join()
    assert done == [True, True]
    assert channel.put_wait > 0.03


def test_the_bytes_of_waiting_pictures_are_bounded_but_one_frame_may_always_wait() -> None:
    frames = list(make_frames(2))
    channel = Channel(size=10, max_bytes=frames[0].image.nbytes + 1)
    assert channel.put(frames[0])
    thread = Thread(target=channel.put, args=(frames[1],))
    thread.start()
    sleep(0.02)
    assert channel.depth == 1
    channel.take()
    thread.join()
    assert channel.depth == 1
    tiny = Channel(size=10, max_bytes=1)
    assert tiny.put(frames[0])


def test_a_repeated_frame_that_gets_another_picture_leaves_no_bytes_behind() -> None:
    """The room never came back, and producer and consumer waited for each other for ever."""
    (frame,) = make_frames(1)
    channel = Channel(size=10, max_bytes=2 * frame.image.nbytes)
    channel.put(frame)
    channel.put(frame)
    (taken,) = channel.take()
    taken.image = taken.image[:2]
    channel.take()
    for fresh in make_frames(2):
        channel.put(fresh)  # waits for ever where there seems to be no room
    assert channel.depth == 2


def make_camera(name: str = "camera") -> Source:
    source = make_source(name)
    source.live = True
    return source


def test_a_live_source_never_waits_its_oldest_frames_are_forgotten_and_counted() -> None:
    source = make_camera()
    channel = Channel(size=2, patience=Patience(1))
    for frame in make_frames(5, source):
        assert channel.put(frame)
    channel.close()
    assert indices(channel) == [3, 4]
    assert channel.lost[source] == 3


def test_a_live_frame_waits_no_longer_than_the_patience_once_a_fresher_one_is_there() -> None:
    source = make_camera()
    channel = Channel(size=32)
    for frame in make_frames(6, source):
        channel.put(frame)
        sleep(0.0 if frame.index % 2 else 2 * PATIENCE)
    assert indices(channel.take(9)) == [5]  # 4 had waited too long, and so had all before it
    assert channel.lost[source] == 5


def test_a_camera_forgets_none_of_anothers_frames() -> None:
    slow, fast = make_camera("slow"), make_camera("fast")
    channel = Channel(size=2)
    channel.put(next(make_frames(1, slow)))
    for frame in make_frames(9, fast):
        channel.put(frame)
    assert [(frame.source.name, frame.index) for frame in channel.take(9)] == [("slow", 0), ("fast", 7), ("fast", 8)]
    assert channel.lost == {fast: 7}


def test_patience_grows_towards_its_target_and_shrinks_when_frames_are_late() -> None:
    patience = Patience(target=0.5)
    for _ in range(100):
        patience.observe(0.1)
    assert patience.seconds == pytest.approx(0.4)
    for _ in range(30):
        patience.observe(0.6)
    assert patience.seconds < 0.001
    fixed = Patience()
    fixed.observe(9)
    assert fixed.seconds == PATIENCE


def test_cancel_refuses_frames_and_counts_what_is_lost() -> None:
    source = make_source()
    first, second = make_frames(2, source)
    channel = Channel(size=2)
    channel.put(first)
    channel.cancel()
    assert not channel.put(second)
    assert channel.take() == []
    assert channel.lost[source] == 2


def test_a_frame_that_is_repeated_is_lost_once_and_not_at_all_if_it_got_through() -> None:
    source = make_camera()
    channel = Channel(size=2, patience=Patience(10))
    for frame in make_frames(3, source):
        channel.put(frame)
        channel.put(frame)
    assert channel.lost[source] == 2  # both copies of 0 and of 1
    channel.take()
    channel.cancel()
    channel.put(frame)
    assert channel.lost[source] == 2  # of 2 one got through


def test_who_is_cancelled_as_the_run_failed_does_not_take_it_for_the_end() -> None:
    channel = Channel(size=2)
    channel.put(next(make_frames(1)))
    channel.cancel(failed=True)
    with pytest.raises(Aborted):
        channel.take()


def test_cancel_wakes_a_waiting_producer() -> None:
    channel, results = Channel(size=1), []
    first, second = make_frames(2)
    channel.put(first)
    thread = Thread(target=lambda: results.append(channel.put(second)))
    thread.start()
    sleep(0.02)
    channel.cancel()
    thread.join(5)
    assert results == [False]


def test_after_a_failure_what_is_here_can_be_taken_and_then_the_consumer_is_told() -> None:
    channel = Channel(size=4)
    for frame in make_frames(2):
        channel.put(frame)
    channel.close(failed=True)
    assert indices(channel.take(8)) == [0, 1]
    with pytest.raises(Aborted):
        channel.take()


def test_a_shared_channel_ends_with_its_last_producer() -> None:
    channel = Channel(size=4, producers=2)
    channel.close()
    for frame in make_frames(1):
        channel.put(frame)
    channel.close()
    assert indices(channel) == [0]


def test_an_empty_channel_is_not_false() -> None:
    assert Channel(size=1)


def test_one_can_wait_for_a_frame_for_a_while() -> None:
    channel = Channel(size=1)
    assert not channel.wait(0.03)
    assert channel.take_wait > 0.02
    thread = Thread(target=lambda: (sleep(0.03), channel.put(*make_frames(1))))
    thread.start()
    assert channel.wait(10)
    assert channel.take_wait < 5
    assert indices(channel.take()) == [0]
    thread.join()
    channel.close()
    assert channel.wait(10)  # that nothing will come is an answer too
    assert channel.take() == []


def test_where_ctrl_c_cannot_end_a_wait_the_consumer_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    file = vidclf.channel.__file__
    for platform, seconds in (("win32", 0.5), ("linux", None)):
        monkeypatch.setattr(sys, "platform", platform)
        assert runpy.run_path(file)["LOOK_UP"] == seconds
    monkeypatch.undo()

    monkeypatch.setattr("vidclf.channel.LOOK_UP", 0.02)
    for consume in (Channel.take, partial(Channel.wait, seconds=1)):
        assert looks_before_ctrl_c(consume, monkeypatch) == [0.02] * 3


def looks_before_ctrl_c(consume: Callable[[Channel], object], monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long a consumer waits each time until Ctrl-C is heard, which is pressed while it waits the third time."""
    channel, looks = Channel(size=1), []

    def look_up(seconds: float | None = None) -> None:
        wait(seconds)
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    wait = channel._for_frames.wait
    monkeypatch.setattr(channel._for_frames, "wait", look_up)
    with pytest.raises(KeyboardInterrupt):
        consume(channel)
    return looks


def test_a_wait_counts_while_it_goes_on() -> None:
    """Else a stage that waits for a lost camera would look busy."""
    channel = Channel(size=1)
    thread = Thread(target=channel.take)
    thread.start()
    sleep(0.05)
    assert 0.03 < channel.take_wait < 5
    channel.close()
    thread.join()
    before = channel.take_wait
    sleep(0.02)
    assert channel.take_wait == before


class Interrupted:
    """A lock that Ctrl-C interrupts the first time that it is taken back."""

    def __init__(self) -> None:
        self.lock, self.presses = Lock(), 1
        self.lock.acquire()
        self.release = self.lock.release

    def acquire(self, blocking: bool) -> bool:
        if self.presses:
            self.presses -= 1
            raise KeyboardInterrupt
        return self.lock.acquire(blocking)


def test_ctrl_c_while_a_woken_thread_takes_the_lock_back_leaves_it_with_the_lock() -> None:
    """Else it released the lock of another thread, whose run then failed with that."""
    lock = Interrupted()
    waits = Waits(lock)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        waits.wait(0.001)
    assert lock.lock.locked()
    assert waits.bells == []
    assert waits.seconds() == waits.seconds()  # the wait is over


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that raises")
def test_a_thread_does_not_wait_for_a_lock_that_it_has_taken_when_ctrl_c_comes() -> None:
    """Python looks for signals just after the lock is taken: this waited for itself, for ever."""

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    try:
        for _ in range(300):
            lock = Lock()
            waits = Waits(lock)
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0002)
                while True:
                    waits._take_lock_back()
                    lock.release()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
