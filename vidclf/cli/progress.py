"""Shows a run's progress, and its closing table; all of it on stderr."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.web.books import Books

BAR_SECONDS, LINE_SECONDS = 0.2, 5.0  # between two updates, on a terminal and elsewhere

NARROW = 72  # characters below which the closing table leaves columns out
# Column: (key in a stage's statistics, digits).
COLUMNS = {
    "in": ("in", 0),
    "out": ("out", 0),
    "busy s": ("busy_s", 2),
    "waits in s": ("wait_in_s", 2),
    "waits out s": ("wait_out_s", 2),
    "p50 ms": ("p50_ms", 1),
    "p95 ms": ("p95_ms", 1),
}


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
        self._books = Books(pipeline.stats)
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
        stats, recent = self._books.look()
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


def closing_table(stats: dict[str, Any], width: int = NARROW) -> Table:
    """One row per stage: where the frames and the time went; fewer columns if `width` is narrow."""
    title = f"{stats['source']}: {stats['wall_s']:.1f} s, {stats['fps']:.1f} frames/s"
    table = Table(title=title, title_justify="left")
    table.add_column("stage", no_wrap=True)
    columns = COLUMNS if width >= NARROW else {name: COLUMNS[name] for name in ("out", "busy s")}
    for name in columns:
        table.add_column(name, justify="right")
    for row in stats["stages"]:
        slowest = row["name"] == stats["bottleneck"]
        numbers = [f"{row[key]:.{digits}f}" for key, digits in columns.values()]
        table.add_row(row["name"] + (" *" if slowest else ""), *numbers, style="bold" if slowest else None)
    table.caption, table.caption_justify = "* the bottleneck", "left"
    return table


def closing_lines(stats: dict[str, Any]) -> list[str]:
    """The ledger and the labels, in words."""
    ledger = stats["ledger"]
    parts = [f"{ledger['read']} frames read", f"{ledger['finished']} finished"]
    if ledger["corrupt"]:
        parts.append(f"{ledger['corrupt']} corrupt packets skipped")
    parts += [f"{count} dropped ({reason})" for reason, count in ledger["dropped"].items()]
    labels = _listed({label or "no label": count for label, count in stats["labels"].items()})
    lines = [", ".join(parts), f"{stats['detections']} detections{': ' + labels if labels else ''}"]
    for name, entry in stats.get("sources", {}).items():
        if entry.get("live"):
            facts = [f"{entry['finished']} of {entry['read']} frames"]
            facts.append(f"{entry['reconnects']} reconnect{'s' * (entry['reconnects'] != 1)}")
            if entry["finished"]:
                facts.append("lag " + "/".join(f"{lag:.0f}" for lag in entry["lag_ms"].values()) + " ms")
            if entry["problem"]:
                facts.append(entry["problem"])
            lines.append(f"{name}: {', '.join(facts)}")
    return lines + [f"{row['name']}: {_listed(row['counts'])}" for row in stats["stages"] if "counts" in row]


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in numbers.items())
