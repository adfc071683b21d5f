from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import sleep

import pytest

from tests.chains import Broken, Every, Finalise, Pass, Twice, no_threads_left
from tests.frames import Frames, make_frames
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline, name_of
from vidclf.stats import Meter


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
        [Frames(60), Replay(), Pass(end_at=70), Pass()],  # ends within the repetition
    ],
)
def test_frames_that_are_repeated_have_one_end_each(stages: list, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Pipeline(stages, queue=4).run()["ledger"]
    assert ledger["read"] == ledger["finished"] + sum(ledger["dropped"].values())
    assert caplog.records == []


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


def test_the_bottleneck_is_named() -> None:
    class Slow(Pass):
        pass

    assert Pipeline([Frames(30), Pass(), Slow(pause=0.002), Pass()]).run()["bottleneck"] == "slow"


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
    for _ in range(2):
        assert pipeline.run()["ledger"] == {"read": 10, "finished": 10, "corrupt": 0, "dropped": {}}


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
