"""How a run ends before its sources do: stop(), Ctrl-C, and a second one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep

import pytest

from tests.chains import Broken, Finalise, Pass, no_threads_left
from tests.frames import Frames
from vidclf.channel import Channel
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline


def test_stop_takes_no_further_frames_and_drains_what_is_inside() -> None:
    last = Pass()
    pipeline = Pipeline([Frames(1_000_000), Pass(), Finalise(), last])
    stats = pipeline.run(watch=lambda frame: pipeline.stop() if frame.index == 20 else None)
    assert 21 <= stats["ledger"]["read"] < 1000
    assert stats["ledger"]["read"] == stats["ledger"]["finished"] == len(last.seen)


@pytest.mark.parametrize("when", ["before", "while it begins"])
def test_a_stop_before_the_first_frame_ends_the_run_at_once_and_not_the_next(when: str) -> None:
    class Refuse(Pass):
        def attach(self, pipeline: Pipeline) -> None:
            if when == "while it begins":
                pipeline.stop()

    sink = Finalise()
    pipeline = Pipeline([Frames(1_000_000), Refuse(), sink])
    if when == "before":
        pipeline.stop()
    assert pipeline.run()["ledger"]["read"] == 0
    assert (sink.ended, pipeline.stopped, pipeline.stopping) == ("complete", True, False)

    when = "never again"
    pipeline.sources = [Frames(5)]
    assert pipeline.run()["ledger"]["read"] == 5
    assert (pipeline.stopped, pipeline.stopping) == (False, False)


def test_a_stop_of_a_run_that_fails_is_not_kept_for_the_next() -> None:
    def fail(_: Frame) -> None:
        pipeline.stop()
        raise Broken

    pipeline = Pipeline([Frames(1000), Pass()])
    with pytest.raises(Broken):
        pipeline.run(watch=fail)
    assert pipeline.stopped
    assert pipeline.run()["ledger"]["finished"] == 1000


def test_a_pipeline_that_runs_refuses_to_run_once_more_and_goes_on() -> None:
    def again(frame: Frame) -> None:
        if frame.index == 5:
            with pytest.raises(RuntimeError) as caught:
                pipeline.run()
            refusals.append(str(caught.value))

    refusals: list[str] = []
    pipeline = Pipeline([Frames(50), Pass()])
    assert pipeline.run(again)["ledger"] == {"read": 50, "finished": 50, "corrupt": 0, "dropped": {}}
    assert refusals == ["this pipeline is already running; wait for its end, or create another one"]
    assert pipeline.run()["ledger"]["finished"] == 50


def test_ctrl_c_finishes_what_is_inside_and_is_raised_then() -> None:
    def press(frame: Frame) -> None:
        if frame.index == 20:
            signal.raise_signal(signal.SIGINT)

    sink = Finalise()
    pipeline = Pipeline([Frames(1_000_000), sink, Pass()])
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(watch=press)
    ledger = pipeline.stats()["ledger"]
    assert sink.ended == "complete" and pipeline.stopped
    assert 21 <= ledger["read"] == ledger["finished"] < 1000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    def press(frame: Frame) -> None:
        if frame.index == 20:  # twice: after the first, no other frame may come
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("vidclf.interrupt.ECHO_SECONDS", 0.0)
    sink = Finalise()
    with pytest.raises(KeyboardInterrupt):
        # The slow stage still has frames when the second one comes.
        Pipeline([Frames(1_000_000), Pass(pause=0.02), sink, Pass()], queue=4).run(watch=press)
    assert sink.ended == "aborted"
    assert no_threads_left()


def test_a_stage_may_learn_which_pipeline_runs_it_and_end_the_run() -> None:
    class Enough(Pass):
        def attach(self, pipeline: Pipeline) -> None:
            self.pipeline = pipeline

        def __call__(self, frames: Channel) -> Iterator[Frame]:
            for frame in super().__call__(frames):
                assert self.pipeline.stopping == (frame.index > 5)
                if frame.index == 5:
                    assert self.pipeline.stats()["ledger"]["read"] > 5
                    self.pipeline.stop()
                yield frame

    stage = Enough()
    for _ in range(2):  # a stage may serve one run after another
        stats = Pipeline([Frames(10_000), stage], queue=4).run()
        assert 5 < stats["ledger"]["finished"] < 100
        assert stats["ledger"]["read"] == stats["ledger"]["finished"]


def test_a_keyboard_interrupt_in_the_last_stage_aborts_everything() -> None:
    def press(frame: Frame) -> None:
        if frame.index == 3:
            raise KeyboardInterrupt

    sink = Finalise()
    with pytest.raises(KeyboardInterrupt):
        Pipeline([Frames(1_000_000), sink, Pass()]).run(watch=press)
    assert sink.ended == "aborted"
    assert no_threads_left()


def test_who_aborts_need_not_wait_for_a_stage_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.pipeline.ABORT_SECONDS", 0.2)
    let_go = threading.Event()

    def hang(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.index == 9:
                let_go.wait(60)
            yield frame

    def press(frame: Frame) -> None:
        if frame.index == 3:
            raise KeyboardInterrupt

    began = perf_counter()
    with pytest.raises(KeyboardInterrupt):
        Pipeline([Frames(1000), hang, Pass()], queue=4).run(watch=press)
    assert perf_counter() - began < 30
    let_go.set()
    while not no_threads_left():
        sleep(0.01)


@pytest.mark.parametrize("others", [0, 1])
def test_a_source_that_never_returns_does_not_keep_the_outputs_from_being_completed(
    others: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A camera's driver or a network drive may block for ever, and a service was killed with all its files open."""
    monkeypatch.setattr("vidclf.pipeline.STUCK_SECONDS", 0.3)
    released = threading.Event()

    class Stuck(Frames):
        def __call__(self, _: object) -> Iterator[Frame]:
            yield from super().__call__(_)
            released.wait(30)
            yield from super().__call__(_)

    sink = Finalise()
    pipeline = Pipeline([[Stuck(5), *[Frames(7)] * others], Pass(), sink])
    threading.Timer(0.3, pipeline.stop).start()
    began = perf_counter()
    stats = pipeline.run()
    assert perf_counter() - began < 5
    assert stats["ledger"]["read"] == stats["ledger"]["finished"] == 5 + 7 * others
    assert sink.ended == "complete"
    assert "does not return; the run ends without it" in caplog.text
    released.set()
    assert pipeline.run()["ledger"]["read"] == 10 + 7 * others  # the one that was left does not disturb it
    until = perf_counter() + 5
    while not no_threads_left() and perf_counter() < until:
        sleep(0.01)
    assert no_threads_left()


def test_a_source_that_was_left_does_not_fail_the_run_nor_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.pipeline.STUCK_SECONDS", 0.2)
    released, runs = threading.Event(), []

    class Fails(Frames):
        def __call__(self, _: object) -> Iterator[Frame]:
            runs.append(len(runs))
            yield from super().__call__(_)
            if len(runs) == 1:
                released.wait(30)
                raise Broken

    def late(frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from frames
        released.set()
        sleep(0.3)  # still completing its file

    pipeline = Pipeline([Fails(5), late])
    threading.Timer(0.2, pipeline.stop).start()
    assert pipeline.run()["ledger"]["finished"] == 5
    assert pipeline.run()["ledger"]["finished"] == 5


def test_a_source_that_waits_for_room_is_not_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A detector that converts its network for a minute is no reason to lose a frame."""
    monkeypatch.setattr("vidclf.pipeline.STUCK_SECONDS", 0.2)

    def slow(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.index == 0:
                threading.Timer(0.1, pipeline.stop).start()
                sleep(1)
            yield frame

    pipeline = Pipeline([Frames(1000), slow], queue=2)
    stats = pipeline.run()
    assert stats["ledger"]["read"] == stats["ledger"]["finished"]
    assert caplog.messages == []
