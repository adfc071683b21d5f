"""vidclf itself as a contender: each of its stages alone, all of them as a pipeline, and decode and encode alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from typing import Any

import cv2

from vidclf.bench.agree import Seen
from vidclf.bench.measure import Cost, cost_of
from vidclf.bench.setting import FRAME_BYTES, Setting
from vidclf.channel import Channel
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline
from vidclf.threads import limit_opencv


class Ours:
    """One setting's pipeline, created once: the first run, the warm-up, loads its models."""

    def __init__(self, setting: Setting):
        self._setting = setting
        self.stages = [item.create() for item in setting.items]
        self.names = [item.name for item in setting.items]

    def run(self) -> tuple[list[Seen], dict[str, Any]]:
        """Process the whole clip once; returns the objects of every frame, and the pipeline's statistics."""
        seen: list[Seen] = []
        with opencv_limited():
            stats = Pipeline(self.stages).run(lambda frame: seen.append([(d.box, d.label) for d in frame.detections]))
        return seen, stats

    def run_codecs(self) -> int:
        """Decode and encode alone, as a pipeline: the upper bound of the speed. Returns the number of frames."""
        ends = [stage for name, stage in zip(self.names, self.stages, strict=True) if name in ("capture", "write")]
        with opencv_limited():
            return int(Pipeline(ends).run()["ledger"]["finished"])

    def sweep(self) -> dict[str, Cost]:
        """Each stage alone, one after the other, with all cores to itself, over as many frames as memory allows."""
        capture, *rest = self.stages
        costs: dict[str, Cost] = {}
        frames: list[Frame] = []
        with opencv_limited():
            costs[self.names[0]] = cost_of(partial(_decode, capture, frames, self._limit()))
            for name, stage in zip(self.names[1:], rest, strict=True):
                costs[name] = cost_of(partial(_work, stage, frames))
        return costs

    def _limit(self) -> int:
        width, height = self._setting.size()
        return max(8, min(self._setting.frames or 1 << 62, FRAME_BYTES // (width * height * 3)))


@contextmanager
def opencv_limited() -> Iterator[None]:
    """Set OpenCV's threads as `vidclf run` does; afterwards restore the default, which a script has."""
    before = cv2.getNumThreads()
    limit_opencv()
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _decode(capture: Any, frames: list[Frame], limit: int) -> int:
    """Decode up to `limit` frames into the list."""
    with closing(iter(capture(Channel.of(())))) as stream:
        frames += islice(filter(None, stream), limit)
    return len(frames)


def _work(stage: Any, frames: list[Frame]) -> int:
    """Give a stage all the frames; returns how many these are."""
    for _ in stage(Channel.of(frames)):
        pass
    return len(frames)
