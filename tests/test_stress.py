"""Random chains of random stages: every frame has one end, and no thread stays."""

from __future__ import annotations

import random

import pytest

from tests.chains import Broken, Pass, no_threads_left
from tests.frames import Frames
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline


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
