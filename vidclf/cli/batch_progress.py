"""Shows the progress of a batch: a bar over all clips and one per running clip, or plain lines."""

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

    The time left is estimated from seconds of video; the length of clips not yet opened is guessed from their size
    and the seconds per byte of the others.
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
            redirect_stdout=False,  # a report may go there
            disable=not console.is_terminal,
        )
        self._all = self._bar.add_task("all clips", total=None, text="")
        self._tasks: dict[str, TaskID] = {}
        # Running sums, so that the cost of an event does not grow with the number of clips.
        self._planned = self._planned_bytes = 0
        self._ended = self._ended_bytes = self._failed = 0
        self._seconds = 0.0  # of video of the clips that ended
        self._running: dict[str, job.Progress] = {}
        self._sizes: dict[str, int] = {}  # bytes of the clips that are running
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
                self._sizes[clip.path] = clip.size
                self._tasks[clip.path] = self._bar.add_task(f"  {clip.path}", total=None, text="starting")
            case job.Progress():
                self._progress(event)
            case Ended():
                self._end(event)
        self._bar.update(self._all, completed=self._done(), total=self._total(), text=self._text())

    def _plan(self, event: Planned) -> None:
        if event.todo and self._ended == self._planned:  # after a pause, as in a watch: its speed is none of ours
            self._began, self._seconds = monotonic(), 0.0
            self._planned_bytes = self._ended_bytes = 0
        self._planned += len(event.todo) - len(event.gone)
        self._planned_bytes += sum(clip.size for clip in event.todo) - sum(clip.size for clip in event.gone)
        if event.todo or event.skipped:
            self._console.print(f"{_clips(len(event.todo))} to do, {event.skipped} already finished")

    def _progress(self, event: job.Progress) -> None:
        self._running[event.path] = event
        if (task := self._tasks.get(event.path)) is not None:
            self._bar.update(task, completed=event.seconds, total=event.duration, text=f"{event.frames} frames")
        if not self._console.is_terminal and monotonic() - self._said > LINE_SECONDS:
            self._said = monotonic()
            self._console.print(f"{event.path}: {event.frames} frames so far; {self._text()}")

    def _end(self, event: Ended) -> None:
        path, outcome = event.clip.path, event.outcome
        if (task := self._tasks.pop(path, None)) is not None:
            self._bar.remove_task(task)
        for warning in outcome.warnings:
            self._console.print(f"warning: {warning}")
        self._running.pop(path, None)
        size = self._sizes.pop(path, 0)
        if event.again:
            self._console.print(f"{path}: {outcome.error}; will retry later")
            return
        self._ended += 1
        self._ended_bytes += size
        self._seconds += outcome.seconds
        self._said = monotonic()
        if outcome.error:
            self._failed += 1
            self._console.print(f"{path}: failed: {outcome.error}")
        elif not self._console.is_terminal:
            stats = outcome.stats
            found = f"{stats['ledger']['finished']} frames, {stats['detections']} detections"
            self._console.print(f"{path}: {found}; {self._text()}")

    def _done(self) -> float:
        """Seconds of video."""
        return self._seconds + sum(progress.seconds for progress in self._running.values())

    def _total(self) -> float | None:
        """Estimated seconds of video in all clips; None while nothing is known."""
        known, seconds = self._ended_bytes, self._seconds
        for path, progress in self._running.items():
            if progress.duration:
                known += self._sizes.get(path, 0)
                seconds += max(progress.duration, progress.seconds)
        if not known or not seconds:
            return None
        return seconds * max(self._planned_bytes, known) / known

    def _text(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"{self._ended}/{self._planned} clips{failed}"
        done, total = self._done(), self._total()
        if not total or not done:
            return text
        speed = done / (monotonic() - self._began)
        left = timedelta(seconds=round(max(0.0, total - done) / speed))
        return f"{text}, {speed:.1f} x real time, {left} left"


def closing_lines(report: Report, outdir: str) -> list[str]:
    """A summary of the run."""
    failed = f", {len(report.failed)} failed" if report.failed else ""
    lines = [f"{_clips(report.done)} done, {report.skipped} already finished{failed}"]
    if report.done:
        speed = report.seconds / report.wall_s if report.wall_s else 0.0
        lines.append(
            f"{report.frames} frames, {report.seconds:.1f} s of video in {report.wall_s:.1f} s, {speed:.1f} x real time"
        )
        labels = ", ".join(f"{label or 'no label'} {count}" for label, count in report.labels.most_common())
        lines.append(f"{report.detections} detections{': ' + labels if labels else ''}")
    return [*lines, f"results are in {outdir}, with an overview in summary.html"]


def failures(report: Report) -> list[str]:
    """One line per failed clip with the reason, up to `LISTED` clips."""
    lines = [f"failed: {clip}: {reason}" for clip, reason in sorted(report.failed.items())]
    more = [f"... and {len(lines) - LISTED} more, see summary.html"] if len(lines) > LISTED else []
    return lines[:LISTED] + more


def _clips(number: int) -> str:
    return f"{number} clip" if number == 1 else f"{number} clips"
