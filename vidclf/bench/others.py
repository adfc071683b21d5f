"""The same work in other libraries' own video loops, if they are installed."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from vidclf.bench.agree import Seen
from vidclf.bench.loops import Clip, Person
from vidclf.bench.setting import Setting
from vidclf.errors import VidclfError

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
    """Roboflow's `InferencePipeline` with custom logic: it decodes, infers and dispatches in three threads.

    Raises VidclfError if one of them fails: InferencePipeline itself only logs it.
    """
    pipeline_class = _import_quietly()
    seen: list[Seen] = []
    failures: list[str] = []

    def note(update: Any) -> None:
        if update.severity.name == "ERROR":
            failures.append(f"{update.payload['error_type']}: {update.payload['error_message']}")

    def infer(frames: list[Any]) -> list[Seen]:
        return [person.annotate(frame.image, person.detect(frame.image)) for frame in frames if not failures]

    with Clip(setting, "inference.mp4") as clip:

        def sink(found: Seen, frame: Any) -> None:
            clip.write(frame.image)
            seen.append(found)

        pipeline = pipeline_class.init_with_custom_logic(
            video_reference=lambda: _reader(setting, failures),
            on_video_frame=infer,
            on_prediction=sink,
            status_update_handlers=[note],
        )
        try:
            pipeline.start()  # until the end of the clip, or until inferring fails
        finally:
            pipeline.terminate()  # after a failure the decoding thread waits for room in its buffer, even at exit
            pipeline.join()
        if failures:
            raise VidclfError(f"InferencePipeline failed: {failures[0]}")
    return seen


def _import_quietly() -> Any:
    """The class `InferencePipeline`, without the package's warnings about models, its log and its look for updates."""
    os.environ.setdefault("DISABLE_VERSION_CHECK", "True")  # it would ask GitHub
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline_class = import_module("inference").InferencePipeline
    for name in ("inference", "streamvision"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs to stdout, where the figures go
    return pipeline_class


def _reader(setting: Setting, failures: list[str]) -> Any:
    """InferencePipeline's own reader of files, but the clip ends after `setting.frames`, or at the first failure.

    To stop it from outside would count too much: by default it decodes 64 frames ahead.
    """
    theirs = import_module("inference.core.interfaces.camera.video_source")

    class Reader(theirs.CV2VideoFrameProducer):  # type: ignore[name-defined]
        left = setting.frames or 1 << 62

        def grab(self) -> bool:
            self.left -= 1
            return self.left >= 0 and not failures and super().grab()

        def discover_source_properties(self) -> Any:
            # Else a file without a number of frames would be a stream: with frames dropped, reopened at its end.
            return replace(super().discover_source_properties(), is_file=True)

    return Reader(str(setting.clip))
