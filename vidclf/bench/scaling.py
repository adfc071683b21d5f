"""How the speed scales with cores, batch size, cameras, picture size and objects per frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.bench.alone import measure_alone
from vidclf.bench.measure import Cost, cost_of, spread, summary
from vidclf.bench.ours import opencv_limited
from vidclf.bench.setting import PlainWriter, Setting
from vidclf.frame import USUAL_RATE, Detection, Frame
from vidclf.memory import keep_warm
from vidclf.pipeline import Pipeline
from vidclf.preprocess import letterbox
from vidclf.stages import Capture

Tell = Callable[[str], None]
SIZES = {"240p": (426, 240), "360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}


class Boxes:
    """A detector that finds `count` objects on every frame at no cost, so that only the later stages count."""

    def __init__(self, count: int, seed: int = 0):
        random = np.random.default_rng(seed)
        self._places = random.uniform(0, 0.85, (count, 2))

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            height, width = frame.image.shape[:2]
            for x, y in self._places:
                x0, y0 = int(x * width), int(y * height)
                frame.detections.append(Detection((x0, y0, x0 + width // 16, y0 + height // 8), kind="drawn"))
            yield frame


def by_cores(setting: Setting, counts: Iterable[int], repeat: int, tell: Tell) -> dict[str, Any]:
    """Frames per second by number of cores, every time in a separate process."""

    def speed(count: int) -> dict[str, float]:
        return spread([measure_alone(setting, "vidclf", count)["fps"] for _ in range(repeat)])

    return _each(counts, speed, "cores", tell)


def by_batch(setting: Setting, batches: Iterable[int], repeat: int, tell: Tell) -> dict[str, Any]:
    """Frames per second by the batch size of the detector (without one: of the classifier)."""
    stage = "yolo" if setting.has("yolo") else "classify"

    def speed(batch: int) -> dict[str, float]:
        return _speed(setting.but(stage, batch=batch), repeat)

    return _each(batches, speed, f"{stage}.batch", tell)


def by_cameras(setting: Setting, counts: Iterable[int], repeat: int, tell: Tell) -> dict[str, Any]:
    """Frames per second of all sources together, which share one detector and classifier; nothing is written."""

    def speed(count: int) -> dict[str, float]:
        middle = [item.create() for item in setting.items if item.name not in ("capture", "write")]
        # As many frames each, however many they are: a few would measure how long decoders take to open.
        (capture,) = (item for item in setting.items if item.name == "capture")
        sources = [capture.create() for _ in range(count)]
        return _median(lambda: int(Pipeline([sources, *middle]).run()["ledger"]["finished"]), repeat)

    return _each(counts, speed, "cameras", tell)


def by_size(setting: Setting, names: Iterable[str], repeat: int, tell: Tell) -> dict[str, Any]:
    """Frames per second, and peak memory, for the clip scaled to each size."""

    def speed(name: str) -> dict[str, float]:
        scaled = setting.on(scale(setting, name))
        return _speed(scaled, repeat) | {"peak_rss_mb": measure_alone(scaled, "vidclf")["peak_rss_mb"]}

    return _each(names, speed, "size", tell)


def by_objects(setting: Setting, counts: Iterable[int], repeat: int, tell: Tell) -> dict[str, Any]:
    """Frames per second by number of objects on every frame, found at no cost."""

    def speed(count: int) -> dict[str, float]:
        stages = [
            Boxes(count) if item.name in ("motion", "yolo") else item.create()
            for item in setting.items
            if item.name != "track"
        ]
        return _median(lambda: int(Pipeline(stages).run()["ledger"]["finished"]), repeat)

    return _each(counts, speed, "objects a frame", tell)


def scale(setting: Setting, name: str) -> Path:
    """The clip's first frames at one of SIZES, padded to its shape; made once, in the setting's folder."""
    path = setting.folder / f"{name}.mp4"
    if not path.exists():
        writer: PlainWriter | None = None
        for frame in filter(None, Capture(str(setting.clip), max_frames=setting.frames)()):
            rate = float(frame.source.rate or USUAL_RATE)
            writer = writer or PlainWriter(path, "libx264", rate, SIZES[name])
            writer.write(letterbox(frame.image, *SIZES[name]))
        if writer:
            writer.close()
    return path


def _speed(setting: Setting, repeat: int) -> dict[str, float]:
    stages = [item.create() for item in setting.items]
    return _median(lambda: int(Pipeline(stages).run()["ledger"]["finished"]), repeat)


def _median(work: Callable[[], int], repeat: int) -> dict[str, float]:
    keep_warm()  # as `vidclf run` does
    with opencv_limited():
        work()  # loads the models
        costs: list[Cost] = [cost_of(work) for _ in range(repeat)]
    speed: dict[str, float] = summary(costs)["fps"]
    return speed


def _each(values: Iterable[Any], measure: Callable[[Any], dict[str, float]], what: str, tell: Tell) -> dict[str, Any]:
    points = []
    for value in values:
        points.append({"at": value} | measure(value))
        tell(f"{what} {value}: {points[-1]['median']:.1f} frames/s")
    return {"by": what, "points": points}
