"""Shows a run's progress: a bar on a terminal, occasional lines elsewhere."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.rates import Rates

BAR_SECONDS, LINE_SECONDS = 0.2, 5.0  # between two updates, on a terminal and elsewhere


class Times(ProgressColumn):
    """How long the run has taken and, where its end is known, how long it will still take, in words."""

    max_refresh = 0.5  # seconds

    def render(self, task: Task) -> Text:
        text = f"{timedelta(seconds=int(task.elapsed or 0))} elapsed"
        if task.time_remaining is not None:
            text += f", {timedelta(seconds=ceil(task.time_remaining))} left"
        return Text(text)


class ShowProgress:
    """`with ShowProgress(...) as show: pipeline.run(watch=show)`: a bar on a terminal, otherwise occasional lines."""

    def __init__(self, console: Console, pipeline: Pipeline, name: str):
        self._console, self._pipeline, self._name = console, pipeline, name
        self._every = BAR_SECONDS if console.is_terminal else LINE_SECONDS
        self._rates = Rates(pipeline.stats)
        self._frames = 0
        self._source: Source | None = None  # of the latest frame
        self._shown = 0.0 if console.is_terminal else monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.fields[expected]} frames, {task.fields[speed]}"),
            Times(),
            console=console,
            transient=True,
            redirect_stdout=False,  # a record may go there
            disable=not console.is_terminal,
        )
        cameras = len(pipeline.sources)
        shown = f"{cameras} sources" if cameras > 1 else Path(name).name
        self._task = self._bar.add_task(shown, total=None, expected="?", speed="starting")

    def __enter__(self) -> ShowProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, frame: Frame) -> None:
        self._frames += 1
        self._source = frame.source
        now = monotonic()
        if now - self._shown < self._every:
            return
        self._shown = now
        expected = self._expected
        stats, recent = self._rates.now()
        speed = f"{recent['fps']:.0f} fps, slowest: {recent['bottleneck']}"
        if "lag_ms" in stats:
            states = [entry["state"] for entry in stats["sources"].values()]
            speed += f", lag {stats['lag_ms']['p95'] or 0:.0f} ms"
            speed += f", {states.count('connected')} of {len(states)} connected" if len(states) > 1 else ""
        if self._console.is_terminal:
            total = max(expected, self._frames) if expected else None
            self._bar.update(self._task, completed=self._frames, total=total, expected=expected or "?", speed=speed)
        else:
            line = f"{self._name}: {self._frames}/{expected or '?'} frames, {speed}"
            self._console.print(line)

    @property
    def _expected(self) -> int | None:
        return expected_frames(self._source, self._pipeline.sources[0]) if self._source else None

    def interrupted(self) -> str:
        """How much of a source an interrupted run has finished, in words."""
        expected = self._expected
        of_all = f" of {max(expected, self._frames)}" if expected else ""
        return f"interrupted: {self._frames}{of_all} frames"


def expected_frames(source: Source, capture: Any) -> int | None:
    """How many frames a capture should yield from a source, by its header or duration; None if neither is known."""
    if source.frames and not source.begin:
        count = source.frames
    elif source.duration and source.rate:
        count = max(1, round((source.duration - source.begin) * source.rate))
    else:
        return None
    given = ceil(count / getattr(capture, "stride", 1))  # any stage may be the first
    return min(given, getattr(capture, "max_frames", None) or given)
