from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from time import sleep

import pytest

from tests.frames import Frames, make_frames, make_source
from vidclf.channel import Aborted, Channel
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline, name_of


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
    assert (before.ended, behind.ended) == ("closed", "complete")
    assert stats["ledger"]["finished"] == 50
    assert stats["ledger"]["read"] == 50 + sum(stats["ledger"]["dropped"].values())


def test_stop_takes_no_further_frames_and_drains_what_is_inside() -> None:
    last = Pass()
    pipeline = Pipeline([Frames(1_000_000), Pass(), Finalise(), last])
    stats = pipeline.run(watch=lambda frame: pipeline.stop() if frame.index == 20 else None)
    assert 21 <= stats["ledger"]["read"] < 1000
    assert stats["ledger"]["read"] == stats["ledger"]["finished"] == len(last.seen)


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


def test_a_live_source_never_waits_and_what_is_late_is_counted() -> None:
    class Camera(Frames):
        live = True

        def __call__(self, _: object) -> Iterator[Frame]:
            source = make_source(self.name)
            source.live = True
            for frame in make_frames(self.count, source):
                sleep(0.001)
                yield frame

    last = Pass(pause=0.01)
    ledger = Pipeline([Camera(100), last]).run()["ledger"]
    assert ledger["dropped"]["late"] > 50
    assert ledger["read"] == 100 == ledger["finished"] + ledger["dropped"]["late"]
    assert last.seen == sorted(last.seen)


def test_the_bottleneck_is_named() -> None:
    class Slow(Pass):
        pass

    assert Pipeline([Frames(30), Pass(), Slow(pause=0.002), Pass()]).run()["bottleneck"] == "slow"


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
