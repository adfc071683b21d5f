from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep

import pytest

from tests.frames import Frames, make_frames, make_source
from vidclf.channel import Aborted, Channel
from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline, name_of
from vidclf.stats import Meter


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


def test_frames_arrive_in_order_and_the_ledger_adds_up() -> None:
    last = Pass()
    stats = Pipeline([Frames(200), Pass(), Pass(batch=7), last]).run()
    assert last.seen == list(range(200))
    assert stats["ledger"] == {"read": 200, "finished": 200, "corrupt": 0, "dropped": {}}
    assert [row["name"] for row in stats["stages"]] == ["frames", "pass", "pass", "pass"]
    assert [(row["in"], row["out"]) for row in stats["stages"]] == [(0, 200)] + [(200, 200)] * 3


def test_a_source_alone_is_a_pipeline() -> None:
    assert Pipeline([Frames(3)]).run()["ledger"]["finished"] == 3


def test_dropped_frames_are_accounted_for_by_stage() -> None:
    ledger = Pipeline([Frames(10), Every(3), Pass()]).run()["ledger"]
    assert ledger == {"read": 10, "finished": 4, "corrupt": 0, "dropped": {"every": 6}}


def test_a_frame_shown_twice_finishes_once() -> None:
    stats = Pipeline([Frames(10), Twice(), Pass()]).run()
    assert stats["ledger"] == {"read": 10, "finished": 10, "corrupt": 0, "dropped": {}}
    assert stats["stages"][1]["out"] == 20


class Once:
    """Passes each frame on once."""

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        latest = -1
        for frame in frames:
            if frame.index > latest:
                yield frame
            latest = max(latest, frame.index)


class Replay:
    """Shows all once more."""

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        seen = []
        for frame in frames:
            seen.append(frame)
            yield frame
        yield from seen


@pytest.mark.parametrize(
    "stages",
    [
        [Frames(60), Twice(), Once()],
        [Frames(60), Twice(), Pass(end_at=20)],
        [Frames(60), Twice(), Pass(batch=7), Every(3)],
        [Frames(60), Replay(), Pass(batch=7), Every(2), Pass()],
        [Frames(60), Replay(), Replay(), Pass(end_at=20), Pass()],
    ],
)
def test_frames_that_are_repeated_have_one_end_each(stages: list, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Pipeline(stages, queue=4).run()["ledger"]
    assert ledger["read"] == ledger["finished"] + sum(ledger["dropped"].values())
    assert caplog.records == []


def test_repeated_frames_of_a_live_source_have_one_end_each() -> None:
    ledger = Pipeline([Camera(100), Twice(), Pass(pause=0.01)], queue=4).run()["ledger"]
    assert ledger["read"] == 100 == ledger["finished"] + sum(ledger["dropped"].values())


def test_a_stage_that_makes_up_frames_is_told_of_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class More:
        def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
            for frame in frames:
                frame.index *= 2
                yield frame
                yield Frame(frame.source, frame.index + 1, frame.pts, frame.image)

    assert Pipeline([Frames(10), More(), Pass()]).run()["ledger"]["finished"] == 20
    assert "frames are unaccounted for, because a stage creates or renumbers frames" in caplog.text


def test_the_first_exception_is_raised_with_the_stage_and_the_frame() -> None:
    with pytest.raises(Broken, match="at 5") as caught:
        Pipeline([Frames(100), Pass(), Pass(fail_at=5), Pass()]).run()
    assert caught.value.__notes__ == ["in stage 'pass' at frame 5 of clip"]
    assert no_threads_left()


def test_after_a_failure_sinks_before_and_behind_it_know_that_they_are_not_complete() -> None:
    before, behind = Finalise(), Finalise()
    with pytest.raises(Broken):
        Pipeline([Frames(1000), before, Pass(fail_at=50), behind]).run()
    assert (before.ended, behind.ended) == ("aborted", "aborted")


def test_a_stage_that_ends_early_is_no_failure() -> None:
    before, behind = Finalise(), Finalise()
    stats = Pipeline([Frames(1000), before, Pass(end_at=50), behind], queue=4).run()
    assert before.ended in ("closed", "complete")  # told by the stage behind it, or by the source
    assert behind.ended == "complete"
    assert stats["ledger"]["finished"] == 50
    assert stats["ledger"]["read"] == 50 + sum(stats["ledger"]["dropped"].values())


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
        Pipeline([Frames(1_000_000), sink, Pass()], queue=4).run(watch=press)
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


def test_several_sources_share_the_stages_and_have_a_ledger_each() -> None:
    stats = Pipeline([[Frames(30, "a"), Frames(20, "b")], Pass(batch=8), Pass()]).run()
    assert stats["ledger"]["finished"] == 50
    assert {name: entry["finished"] for name, entry in stats["sources"].items()} == {"a": 30, "b": 20}


def test_a_source_that_is_named_twice_has_two_ledgers() -> None:
    stats = Pipeline([[Frames(30, "a"), Frames(20, "a")], Pass()]).run()
    assert stats["ledger"]["finished"] == 50
    assert sorted((name, entry["finished"]) for name, entry in stats["sources"].items()) in (
        [("a", 20), ("a (2)", 30)],
        [("a", 30), ("a (2)", 20)],
    )


class Camera(Frames):
    """A live source of so many frames at a rate; `None` for a while before them, as while it is absent."""

    live = True

    def __init__(self, count: int, name: str = "camera", rate: float = 1000.0, absent: int = 0):
        super().__init__(count, name)
        self.rate, self.absent = rate, absent
        self.reading: Source | None = None

    def __call__(self, _: object) -> Iterator[Frame | None]:
        self.reading = source = make_source(self.name)
        source.live, source.state = True, "absent"
        for _ in range(self.absent):
            sleep(0.01)
            yield None
        source.state = "connected"
        for frame in make_frames(self.count, source):
            sleep(1 / self.rate)
            frame.captured = perf_counter()
            yield frame


def test_a_live_source_never_waits_and_what_is_late_is_counted() -> None:
    last = Pass(pause=0.01)
    ledger = Pipeline([Camera(100), last]).run()["ledger"]
    assert ledger["dropped"]["late"] > 50
    assert ledger["read"] == 100 == ledger["finished"] + ledger["dropped"]["late"]
    assert last.seen == sorted(last.seen)


@pytest.mark.parametrize("batch", [0, 8])
def test_with_a_stage_three_times_too_slow_the_lag_stays_below_two_batches_and_does_not_grow(batch: int) -> None:
    pause, lags = 0.1, []
    slow = Pass(batch, pause)
    pipeline = Pipeline([Camera(75, rate=30), slow, Pass(), Pass()])
    stats = pipeline.run(lambda frame: lags.append(perf_counter() - frame.captured))
    longest = pause * max(1, stats["stages"][1]["batch"])  # it needs so long for each frame of its batch
    p95 = sorted(lags)[int(0.95 * len(lags))]
    assert p95 < 2 * max(longest, 2 * pause if batch else pause)
    assert stats["lag_ms"]["p95"] == pytest.approx(1000 * p95, rel=0.1)
    half = len(lags) // 2
    assert sum(lags[half:]) / len(lags[half:]) < 1.3 * sum(lags[:half]) / half
    assert stats["ledger"]["read"] == 75 == stats["ledger"]["finished"] + stats["ledger"]["dropped"]["late"]


def test_a_latency_target_lets_frames_wait_so_that_fewer_are_skipped() -> None:
    class Hiccup(Pass):
        """Fast, but for a break of 0.3 s now and then."""

        def __call__(self, frames: Channel) -> Iterator[Frame]:
            for frame in frames:
                if frame.index % 60 == 30:
                    sleep(0.3)
                yield frame

    def late(target: float | None) -> int:
        stats = Pipeline([Camera(180, rate=60), Hiccup(), Pass()], latency_target=target).run()
        return stats["ledger"]["dropped"].get("late", 0)

    assert late(2.0) < 0.7 * late(None)
    with pytest.raises(ValueError, match="latency_target must be above 0 seconds, got -1"):
        Pipeline([Camera(1)], latency_target=-1)


def test_batches_hold_frames_of_several_cameras() -> None:
    cameras = [Camera(20, name, rate=50) for name in "abcd"]
    stats = Pipeline([cameras, Pass(batch=8, pause=0.02), Pass()]).run()
    row = stats["stages"][4]
    assert row["name"] == "pass" and row["batch_sources"] > 2
    assert row["batch_sources"] <= row["batch"] <= 8
    assert all(entry["finished"] > 3 for entry in stats["sources"].values())


def test_a_camera_that_is_absent_has_a_place_in_the_statistics_and_joins_later() -> None:
    seen = []
    late, early = Camera(5, "late", absent=20), Camera(40, "early", rate=100)
    pipeline = Pipeline([[late, early], Pass()])
    stats = pipeline.run(lambda frame: seen.append((frame.source.name, pipeline.stats()["sources"]["late"])))
    name, entry = seen[0]
    assert name == "early"
    assert entry["state"] == "absent" and entry["last_frame_s"] is None and entry["lag_ms"]["p50"] is None
    entry = stats["sources"]["late"]
    assert entry["state"] == "ended" and entry["read"] == 5 and entry["lag_ms"]["p50"] >= 0


def fail(_: Iterable[Frame]) -> Iterator[Frame]:
    """Fails before its first frame, as without its weights, or without its device."""
    raise Broken
    yield


def enough(_: Iterable[Frame]) -> Iterator[Frame]:
    """Ends before its first frame."""
    yield from ()


ABSENT = 500  # attempts to connect, 5 s; a run that has not ended by then reads a frame


def test_a_stage_that_fails_while_the_camera_is_silent_ends_the_run() -> None:
    before, behind = Finalise(), Finalise()
    pipeline = Pipeline([Camera(1, absent=ABSENT), before, Pass(), fail, behind])
    with pytest.raises(Broken):
        pipeline.run()
    assert pipeline.stats()["ledger"]["read"] == 0
    assert (before.ended, behind.ended) == ("aborted", "aborted")
    assert no_threads_left()


def test_a_stage_that_ends_while_the_camera_is_silent_ends_the_run() -> None:
    before, behind = Finalise(), Finalise()
    stats = Pipeline([Camera(1, absent=ABSENT), before, Pass(), enough, behind]).run()
    assert stats["ledger"]["read"] == 0
    assert (before.ended, behind.ended) == ("complete", "complete")


def test_a_source_that_fails_while_the_others_are_silent_ends_the_run() -> None:
    sink = Finalise()
    pipeline = Pipeline([[Camera(1, absent=ABSENT), fail], Pass(), sink])
    with pytest.raises(Broken):
        pipeline.run()
    assert pipeline.stats()["ledger"]["read"] == 0
    assert sink.ended == "aborted"
    assert no_threads_left()


def test_a_source_that_fails_beside_a_faster_one_ends_the_run() -> None:
    """The stage after them always has a frame to take, so it would see the failure only at the end of the other."""
    sink = Finalise()
    pipeline = Pipeline([[fail, Frames(2000)], Pass(pause=0.002), sink], queue=4)
    with pytest.raises(Broken):
        pipeline.run()
    assert pipeline.stats()["ledger"]["read"] < 1000
    assert sink.ended == "aborted"


def test_a_stage_that_waits_learns_that_another_one_failed() -> None:
    """As the window does, which waits for a key while the run is paused."""

    class Paused(Pass):
        def attach(self, pipeline: Pipeline) -> None:
            self.pipeline = pipeline

        def __call__(self, frames: Channel) -> Iterator[Frame]:
            until = perf_counter() + 5
            while not self.pipeline.stopping and perf_counter() < until:
                sleep(0.01)
            self.has_learned = self.pipeline.stopping
            yield from frames

    stage = Paused()
    pipeline = Pipeline([Frames(10), fail, stage])
    with pytest.raises(Broken):
        pipeline.run()
    assert stage.has_learned
    assert not pipeline.stopping


def test_a_run_whose_camera_never_comes_can_be_stopped() -> None:
    pipeline = Pipeline([Camera(1, absent=10**6), Pass()])
    timer = threading.Timer(0.2, pipeline.stop)
    timer.start()
    assert pipeline.run()["ledger"]["read"] == 0
    timer.join()


def test_the_bottleneck_is_named() -> None:
    class Slow(Pass):
        pass

    assert Pipeline([Frames(30), Pass(), Slow(pause=0.002), Pass()]).run()["bottleneck"] == "slow"


def test_a_source_that_waits_for_its_silent_camera_is_not_busy() -> None:
    class Silent(Camera):
        """Gives a frame, and then waits for the next one, as `video.live.Live` does."""

        def __call__(self, _: object) -> Iterator[Frame | None]:
            yield from super().__call__(_)
            assert self.reading
            for _ in range(2):
                self.reading.waits_since = began = perf_counter()
                sleep(0.5)
                self.reading.waited += perf_counter() - began
                self.reading.waits_since = None
                yield None

    pipeline = Pipeline([Silent(1), Pass()])
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    rows = []
    while thread.is_alive():
        sleep(0.05)
        rows += pipeline.stats()["stages"][:1]
    assert len(rows) > 5
    assert max(row["busy_s"] for row in rows) < 0.35
    assert 0.8 < rows[-1]["wait_in_s"] < 5


def test_the_time_at_work_never_falls() -> None:
    """Prometheus takes a counter that falls for one that began anew."""
    meter = Meter("camera", None, None)
    frame = next(make_frames(1))
    meter.began_frame(frame, 0)
    sleep(0.05)
    before = meter.busy
    assert before > 0.04
    frame.source.waited += 0.05  # a wait that is known only once it is over, as that of a file in real time
    assert meter.busy >= before


def test_a_pipeline_can_run_again() -> None:
    pipeline = Pipeline([Frames(10), Pass()])
    assert pipeline.run()["ledger"] == pipeline.run()["ledger"]


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


def test_an_attribute_of_somebodys_stage_that_is_called_counts_harms_nothing() -> None:
    stage = Pass()
    stage.counts = [0] * 10  # type: ignore[attr-defined]
    assert "counts" not in Pipeline([Frames(3), stage]).run()["stages"][1]


@pytest.mark.parametrize("stages", [[], [[]], [Frames(1), [Frames(1)]], [[Frames(1), Frames(1)]]])
def test_impossible_chains_are_refused(stages: list) -> None:
    with pytest.raises(ValueError):
        Pipeline(stages)


def test_stages_are_named_as_pipeline_files_write_them() -> None:
    class SaveCrops:
        pass

    assert name_of(SaveCrops()) == "save-crops"  # type: ignore[arg-type]


def test_a_stage_tests_without_a_thread() -> None:
    assert [frame.index for frame in Every(2)(make_frames(5))] == [0, 2, 4]


@pytest.mark.parametrize("seed", range(400))
def test_stress(seed: int) -> None:
    """Random chains, queues, batches, errors, stops: order kept, nothing lost, no thread left, first error raised."""
    dice = random.Random(seed)
    count, stages, failing = dice.randrange(60), [], []
    for _ in range(dice.randrange(1, 6)):
        stage = Pass(
            batch=dice.choice([0, 0, 1, 3, 16]),
            pause=dice.choice([0, 0, 0, 0.0005]),
            fail_at=dice.randrange(60) if dice.random() < 0.15 else None,
            end_at=dice.randrange(60) if dice.random() < 0.1 else None,
        )
        failing += [stage] if stage.fail_at is not None and stage.fail_at < count else []
        stages.append(stage)
    stop_at = dice.randrange(60) if dice.random() < 0.2 else None
    pipeline = Pipeline([Frames(count), *stages], queue=dice.choice([1, 2, 3, 8, 32]))

    def watch(frame: Frame) -> None:
        if frame.index == stop_at:
            pipeline.stop()

    try:
        stats = pipeline.run(watch=watch)
    except Broken as error:
        assert failing
        assert "in stage 'pass' at frame " in error.__notes__[0]
        stats = pipeline.stats()
        assert stats["ledger"]["read"] == stats["ledger"]["finished"] + sum(stats["ledger"]["dropped"].values())
    else:
        read = stats["ledger"]["read"]
        assert read == stats["ledger"]["finished"] + sum(stats["ledger"]["dropped"].values())
        if stop_at is None and all(stage.end_at is None for stage in stages):
            assert read == stats["ledger"]["finished"] == count
    for stage in stages:
        assert stage.seen == list(range(len(stage.seen)))
        assert stage.closed == 1
    assert no_threads_left()


def no_threads_left() -> bool:
    return not [thread.name for thread in threading.enumerate() if thread.name.startswith("vidclf")]
