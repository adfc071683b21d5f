"""The same work in other libraries' own video loops, if they are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.bench.agree import Seen
from vidclf.bench.loops import Person
from vidclf.bench.setting import PlainWriter, Setting

# Contender: the package it needs.
OTHERS = {"supervision.process_video": "supervision", "InferencePipeline": "inference"}


def other_loops(setting: Setting, person: Person) -> dict[str, Callable[[], list[Seen]]]:
    """The loops whose package is installed, with the detector, classifier and drawing of the serial loop."""
    known = {
        "supervision.process_video": lambda: run_supervision(setting, person),
        "InferencePipeline": lambda: run_inference(setting, person),
    }
    return {name: run for name, run in known.items() if find_spec(OTHERS[name]) is not None}


def run_supervision(setting: Setting, person: Person) -> list[Seen]:
    """`supervision.process_video` with a callback; it reads and writes in its own threads, with codec mp4v."""
    import supervision as sv

    seen: list[Seen] = []

    def callback(image: np.ndarray, _: int) -> np.ndarray:
        seen.append(person.annotate(image, person.detect(image)))
        return image

    sv.process_video(str(setting.clip), str(setting.folder / "supervision.mp4"), callback, max_frames=setting.frames)
    return seen


def run_inference(setting: Setting, person: Person) -> list[Seen]:
    """Roboflow's `InferencePipeline` with custom logic: it decodes, infers and dispatches in three threads."""
    seen: list[Seen] = []
    writer: list[PlainWriter] = []

    def infer(frames: list[Any]) -> list[Any]:
        return [(frame.image, person.annotate(frame.image, person.detect(frame.image))) for frame in frames]

    def sink(prediction: Any, frame: Any) -> None:
        image, found = prediction
        if not writer:
            target: Path = setting.folder / "inference.mp4"
            writer.append(PlainWriter(target, setting.codec, frame.fps or 25, (image.shape[1], image.shape[0])))
        if len(seen) < (setting.frames or 1 << 62):
            writer[0].write(image)
            seen.append(found)

    pipeline = import_module("inference").InferencePipeline.init_with_custom_logic(
        video_reference=str(setting.clip), on_video_frame=infer, on_prediction=sink
    )
    pipeline.start()
    pipeline.join()
    for each in writer:
        each.close()
    return seen
