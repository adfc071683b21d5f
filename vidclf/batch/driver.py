"""The driver of a batch: hands the planned clips to workers, one after another, and records the outcomes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from vidclf.batch.checks import decoded
from vidclf.batch.chore import Chore
from vidclf.batch.clips import Clip, Found
from vidclf.batch.disk import Disk, DiskFull
from vidclf.batch.events import Began, Ended, Event, Report
from vidclf.batch.job import Job, Outcome, Progress
from vidclf.batch.manifest import Manifest
from vidclf.batch.names import output_names
from vidclf.batch.plan import Plan, Settings
from vidclf.batch.storage import Storage
from vidclf.errors import UsageError

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.2  # for messages of workers, before signals, the disk and new clips are checked
SAVE_SECONDS = 60.0  # minimum between two saves of the manifest


class Workers(Protocol):
    """Processes clips: local processes, or Ray actors."""

    @property
    def free(self) -> int: ...
    def submit(self, job: Job) -> None: ...
    def wait(self, seconds: float) -> list[Progress | Outcome]: ...
    def close(self) -> None: ...


class Batch:
    """One run over a folder.

    find: looks for clips. tell: called with every event.
    when_idle: called while watching, when everything is done for now; save: called when clips are planned, and while
    there are changes. Both get the clips that could not be tried, with the reasons.
    """

    def __init__(
        self,
        settings: Settings,
        find: Callable[[], Found],
        manifest: Manifest,
        storage: Storage,
        workers: Workers,
        tell: Callable[[Event], object],
        when_idle: Callable[[dict[str, str]], object] = lambda _: None,
        save: Callable[[dict[str, str]], object] = lambda _: None,
    ):
        self._settings, self._tell = settings, tell
        self._manifest, self._storage, self._workers = manifest, storage, workers
        self.report = Report()
        self._plan = Plan(settings, find, manifest, storage, self.report)
        self._when_idle = Chore(lambda: when_idle(self.problems))
        self._save = Chore(lambda: save(self.problems), SAVE_SECONDS)
        self._running: dict[str, Clip] = {}
        self._disk = Disk(storage)
        self._is_short = False  # of space on the disk, which was told
        self._stopping = False

    @property
    def problems(self) -> dict[str, str]:
        """The clips that could not be tried at the latest scan, with the reasons."""
        return self._plan.problems

    def stop(self) -> None:
        """Start no more clips and let the running ones end; safe in a signal handler."""
        self._stopping = True

    def run(self) -> Report:
        """Process the clips. However it ends, the next run finds everything that is incomplete.

        Raises DiskFull, UsageError for a configuration that turns out not to work, KeyboardInterrupt.
        """
        began = monotonic()
        try:
            self._recover()
            self._loop()
        finally:
            self._workers.close()
            if self._running:  # only after a failure, or the second Ctrl-C
                for path in self._running:
                    self._storage.tidy(self._plan.outputs(path).values())
                self._manifest.set_pending(self._running)
            self.report.wall_s = round(monotonic() - began, 3)
        self.report.interrupted = self._stopping
        return self.report

    def _loop(self) -> None:
        while not (self._stopping and not self._running):
            if self._plan.is_due:
                self._look()
            self._save.turn()
            self._submit()
            if not self._running and not self._plan.queue:
                if not self._settings.watch:
                    return
                self._when_idle.turn()
            self._when_idle.due = self._when_idle.due or bool(self._running)
            for event in self._workers.wait(WAIT_SECONDS):
                if isinstance(event, Progress):
                    self._tell(event)
                elif event.path in self._running:
                    self._end(event)
            if self._running:
                self._disk.check()

    def _recover(self) -> None:
        """Remove what a killed run has left, and put its clips back into the queue."""
        left = self._manifest.interrupted()
        for row in left:
            self._storage.tidy({*decoded(row, "outputs"), *output_names(row["name"]).values()})
        self._manifest.set_pending(row["path"] for row in left)

    def _look(self) -> None:
        """Find the clips, and plan what must be done."""
        before = self.problems
        if planned := self._plan.look(self._running):
            self._save.due = self._save.due or bool(planned.todo)
            self._tell(planned)
        self._when_idle.due = self._when_idle.due or self.problems != before

    def _submit(self) -> None:
        while self._workers.free > 0 and not (self._stopping or self._plan.is_away):
            if (clip := self._plan.next_clip()) is None:
                return
            if lack := self._disk.lacks([clip.size, *(running.size for running in self._running.values())]):
                if self._running or self._settings.watch:  # running clips may end, or somebody may free space
                    if not (self._running or self._is_short):
                        log.warning("waiting for disk space for the results of %s: %s", clip.path, lack)
                        self._is_short = True
                    return
                raise DiskFull(f"not enough disk space for the results of {clip.path}: {lack}")
            self._is_short = False
            self._plan.begin(clip)
            self._manifest.begin(clip, self._plan.config)
            self._running[clip.path] = clip
            self._tell(Began(clip, self._plan.tries[clip.path]))
            self._workers.submit(Job(clip.path, str(self._settings.folder / clip.path), self._plan.outputs(clip.path)))

    def _end(self, outcome: Outcome) -> None:
        clip = self._running[outcome.path]
        if outcome.fault:
            self._storage.tidy(self._plan.outputs(clip.path).values())
        if outcome.fault == "configuration":
            raise UsageError(f"{outcome.error} (in {clip.path})")
        if outcome.fault == "full":
            raise DiskFull(f"the disk is full: {outcome.error}")
        del self._running[clip.path]
        again = outcome.fault == "passing" and self._plan.tries[clip.path] <= self._settings.retry
        if again:
            self._manifest.set_pending([clip.path], outcome.error)
            self._plan.retry(clip)
        else:
            self._enter(clip, outcome)
            self._save.due = True
            if outcome.fault == "passing":
                self._plan.put_off(clip)
            else:
                self._plan.settle(clip)
        self._tell(Ended(clip, outcome, again))

    def _enter(self, clip: Clip, outcome: Outcome) -> None:
        """Record the outcome of a clip, and remove results that are no longer valid."""
        before: dict[str, str] = decoded(self._plan.rows[clip.path], "outputs")
        made = {} if outcome.fault else self._plan.wanted(clip.path)
        # Results are removed if the clip has changed, not for a wrong option or a worker that died.
        same = outcome.sha256 == self._plan.rows[clip.path]["sha256"] if outcome.sha256 else bool(outcome.fault)
        kept = (before if same else {}) | made
        self._storage.remove(before.keys() - kept.keys())
        self._manifest.finish(outcome, kept)
        report = self.report
        if outcome.fault:
            report.failed[clip.path] = outcome.error
            return
        report.failed.pop(clip.path, None)
        report.done += 1
        report.frames += outcome.stats["ledger"]["finished"]
        report.detections += outcome.stats["detections"]
        report.labels.update(outcome.stats["labels"])
        report.seconds += outcome.seconds
        self._disk.learn(clip.size, outcome.written)
