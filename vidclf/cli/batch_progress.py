"""What a batch shows while it runs: a bar over all clips and one for each that is running, or plain lines."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from vidclf.batch import job
from vidclf.batch.events import Began, Ended, Event, Planned, Report

LINE_SECONDS = 30.0  # between two lines about clips that take long, where there is no terminal
LISTED = 50  # failed clips named at the end; the summary has them all


class ShowBatch:
    """`with ShowBatch(console) as show: Batch(..., tell=show)`.

    The end is foretold by seconds of video: those of clips not yet opened are guessed from their size, by what the
    others have shown.
    """

    def __init__(self, console: Console):
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("all clips", total=None, text="")
        self._tasks: dict[str, TaskID] = {}
        self._sizes: dict[str, int] = {}  # bytes of the clips planned
        self._lengths: dict[str, float] = {}  # seconds of video of those whose length is known
        self._at: dict[str, float] = {}  # seconds of video done of each, running or ended
        self._ended: set[str] = set()
        self._failed = 0
        self._began = self._said = monotonic()

    def __enter__(self) -> ShowBatch:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan(event)
            case Began(clip, _):
                self._at[clip.path] = 0.0
                self._tasks[clip.path] = self._bar.add_task(f"  {clip.path}", total=None, text="starting")
            case job.Progress():
                self._progress(event)
            case Ended():
                self._end(event)
        percent = self._total()
        self._bar.update(self._all, completed=self._done(), total=percent, text=self._text())

    def _plan(self, event: Planned) -> None:
        if not self._ended and not self._at:
            self._began = monotonic()
        self._sizes |= {clip.path: clip.size for clip in event.todo}
        if event.todo or event.skipped:
            self._console.print(f"{_clips(len(event.todo))} to do, {event.skipped} finished before")

    def _progress(self, event: job.Progress) -> None:
        self._at[event.path] = event.seconds
        if event.duration:
            self._lengths[event.path] = max(event.duration, event.seconds)
        total = self._lengths.get(event.path)
        if (task := self._tasks.get(event.path)) is not None:
            self._bar.update(task, completed=event.seconds, total=total, text=f"{event.frames} frames")
        if not self._console.is_terminal and monotonic() - self._said > LINE_SECONDS:
            self._said = monotonic()
            self._console.print(f"{event.path}: {event.frames} frames so far; {self._text()}")

    def _end(self, event: Ended) -> None:
        path, outcome = event.clip.path, event.outcome
        if (task := self._tasks.pop(path, None)) is not None:
            self._bar.remove_task(task)
        for warning in outcome.warnings:
            self._console.print(f"warning: {warning}")
        if event.again:
            del self._at[path]
            self._console.print(f"{path}: {outcome.error}; it is tried again later")
            return
        self._ended.add(path)
        self._at[path] = self._lengths[path] = outcome.seconds
        self._said = monotonic()
        if outcome.error:
            self._failed += 1
            self._console.print(f"{path}: failed: {outcome.error}")
        elif not self._console.is_terminal:
            stats = outcome.stats
            found = f"{stats['ledger']['finished']} frames, {stats['detections']} detections"
            self._console.print(f"{path}: {found}; {self._text()}")

    def _done(self) -> float:
        return sum(self._at.values())

    def _total(self) -> float | None:
        """Seconds of video of all clips, as far as can be told."""
        known = sum(self._sizes[path] for path in self._lengths)
        seconds = sum(self._lengths.values())
        if not known or not seconds:
            return None
        unknown = sum(self._sizes.values()) - known
        return seconds + unknown * seconds / known

    def _text(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"{len(self._ended)}/{len(self._sizes)} clips{failed}"
        done, total = self._done(), self._total()
        if not total or not done:
            return text
        speed = done / (monotonic() - self._began)
        left = timedelta(seconds=round(max(0.0, total - done) / speed))
        return f"{text}, {speed:.1f} x real time, {left} left"


def closing_lines(report: Report, outdir: str) -> list[str]:
    """What a run did, in words."""
    failed = f", {len(report.failed)} failed" if report.failed else ""
    lines = [f"{_clips(report.done)} done, {report.skipped} finished before{failed}"]
    if report.done:
        speed = report.seconds / report.wall_s if report.wall_s else 0.0
        lines.append(
            f"{report.frames} frames, {report.seconds:.1f} s of video in {report.wall_s:.1f} s, {speed:.1f} x real time"
        )
        labels = ", ".join(f"{label or 'no label'} {count}" for label, count in report.labels.most_common())
        lines.append(f"{report.detections} detections{': ' + labels if labels else ''}")
    return [*lines, f"results in {outdir}, an overview in summary.html there"]


def failures(report: Report) -> list[str]:
    """One line for each clip that failed, and why; of very many, the first."""
    lines = [f"failed: {clip}: {reason}" for clip, reason in sorted(report.failed.items())]
    more = [f"... and {len(lines) - LISTED} more, see summary.html"] if len(lines) > LISTED else []
    return lines[:LISTED] + more


def _clips(number: int) -> str:
    return f"{number} clip" if number == 1 else f"{number} clips"
