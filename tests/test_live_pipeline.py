"""Pipelines of live sources: they never wait, may be absent or silent, and end all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from time import perf_counter, sleep

import pytest

from tests.chains import Broken, Camera, Finalise, Pass, Twice, no_threads_left
from tests.frames import Frames
from vidclf.channel import Channel
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline

ABSENT = 500  # attempts to connect, 5 s; a run that has not ended by then reads a frame


def test_repeated_frames_of_a_live_source_have_one_end_each() -> None:
    ledger = Pipeline([Camera(100), Twice(), Pass(pause=0.01)], queue=4).run()["ledger"]
    assert ledger["read"] == 100 == ledger["finished"] + sum(ledger["dropped"].values())


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
    busy = 0.1  # seconds that the machine may do something else
    assert p95 < 2 * max(longest, 2 * pause if batch else pause) + busy
    assert stats["lag_ms"]["p95"] == pytest.approx(1000 * p95, rel=0.1)
    half = len(lags) // 2
    assert sum(lags[half:]) / len(lags[half:]) < 1.3 * sum(lags[:half]) / half
    assert stats["ledger"]["read"] == 75 == stats["ledger"]["finished"] + stats["ledger"]["dropped"]["late"]


@pytest.mark.parametrize("size", [(32, 24), (1920, 1080)])  # of the large ones, only four used to wait
def test_a_latency_target_lets_frames_wait_so_that_fewer_are_skipped(size: tuple[int, int]) -> None:
    class Hiccup(Pass):
        """Fast, but for a break of 0.3 s now and then."""

        def __call__(self, frames: Channel) -> Iterator[Frame]:
            for frame in frames:
                if frame.index % 60 == 30:
                    sleep(0.3)
                yield frame

    def late(target: float | None) -> int:
        stats = Pipeline([Camera(180, rate=60, size=size), Hiccup(), Pass()], latency_target=target).run()
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
