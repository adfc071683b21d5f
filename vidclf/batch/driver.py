"""The driver of a batch: decides which clips are to be done, hands them to workers, and keeps the books."""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row
from time import monotonic, time
from typing import Protocol

from vidclf.batch.chore import Chore
from vidclf.batch.clips import Clip, Found
from vidclf.batch.disk import Disk, DiskFull
from vidclf.batch.events import Began, Ended, Event, Planned, Report
from vidclf.batch.job import Job, Outcome, Progress
from vidclf.batch.manifest import Manifest
from vidclf.batch.storage import Storage
from vidclf.errors import UsageError, describe
from vidclf.files import hash_file

log = logging.getLogger(__name__)

SUFFIX = {"write": ".mp4", "record": ".jsonl"}
WAIT_SECONDS = 0.2  # for a worker's word, before signals, the disk and new clips are looked at
SCAN_SECONDS = 2.0  # between two looks for new clips
SAVE_SECONDS = 60.0  # at least, between two times that the books are saved


class Workers(Protocol):
    """Whoever processes clips: processes of this machine, or Ray's."""

    @property
    def free(self) -> int: ...
    def submit(self, job: Job) -> None: ...
    def wait(self, seconds: float) -> list[Progress | Outcome]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How a batch is done. config: `fingerprints` of the pipeline."""

    folder: Path
    config: dict[str, str]
    retry: int = 2
    force: bool = False
    retry_failed: bool = False
    watch: bool = False
    settle: float = 5.0  # seconds a clip must stay as it is before it counts as complete (watch only)


class Batch:
    """One run over a folder. find: looks for clips. tell: hears what happens."""

    def __init__(
        self,
        settings: Settings,
        find: Callable[[], Found],
        manifest: Manifest,
        storage: Storage,
        workers: Workers,
        tell: Callable[[Event], object],
    ):
        self._settings, self._find, self._tell = settings, find, tell
        self.rest = Chore()  # while watching, when everything is done for now
        self.save = Chore(SAVE_SECONDS)  # when clips are planned, and while there is news
        self.problems: dict[str, str] = {}  # what could not even be tried at the latest look, and why
        self._manifest, self._storage, self._workers = manifest, storage, workers
        self._config = json.dumps(settings.config, sort_keys=True)
        self._todo: deque[Clip] = deque()
        self._running: dict[str, Clip] = {}
        self._rows: dict[str, Row] = {}
        self._tries: Counter[str] = Counter()
        self._seen: dict[str, tuple[Clip, float]] = {}  # how each clip looked, and since when
        self._planned: dict[str, Clip] = {}  # so that a clip is planned again only when it changes
        self._foreign: dict[str, str] = {}  # of these: clips whose results' names are taken
        self._disk = Disk(storage)
        self._stopping = False
        self._scanned: float | None = None
        self._is_away = False  # the folder, at the latest look
        self.report = Report()

    def stop(self) -> None:
        """Begin no further clips and let the running ones end; safe in a signal handler."""
        self._stopping = True

    def run(self) -> Report:
        """Do what is to be done. Whatever ends it, nothing half-done is left that a further run would not see.

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
                    self._storage.tidy(self._outputs(path).values())
                self._manifest.set_pending(self._running)
            self.report.wall_s = round(monotonic() - began, 3)
        self.report.interrupted = self._stopping
        return self.report

    def _loop(self) -> None:
        while not (self._stopping and not self._running):
            if self._scanned is None or (self._settings.watch and monotonic() - self._scanned >= SCAN_SECONDS):
                self._scan()
            self.save.turn()
            self._submit()
            if not self._running and not self._todo:
                if not self._settings.watch:
                    return
                self.rest.turn()
            self.rest.due = self.rest.due or bool(self._running)
            for event in self._workers.wait(WAIT_SECONDS):
                if isinstance(event, Progress):
                    self._tell(event)
                elif event.path in self._running:
                    self._end(event)
            if self._running:
                self._disk.check()

    def _recover(self) -> None:
        """Clear away what a killed run has left, and put its clips back in the queue."""
        left = self._manifest.interrupted()
        for row in left:
            self._storage.tidy({*json.loads(row["outputs"]), *self._named(row["name"]).values()})
        self._manifest.set_pending(row["path"] for row in left)

    def _scan(self) -> None:
        """Look for clips; while we watch, clips or results may be away for a moment, as shares and buckets are."""
        first, self._scanned = self._scanned is None, monotonic()
        try:
            self._plan(self._find(), first)
        except (UsageError, OSError) as error:
            if first:
                raise
            if not self._is_away:
                log.warning("%s; it is looked for again", describe(error))
            self._is_away = True
        else:
            self._is_away = False

    def _plan(self, found: Found, first: bool) -> None:
        """Plan the clips that are new, changed, or not done yet; those of a look that fails here come with the next."""
        there = {clip.path for clip in found.clips}
        for path in {*found.problems, *self._foreign} - there:
            self._planned.pop(path, None)  # when it is mended, or comes back, it is looked at again
        busy = {*self._running, *(clip.path for clip in self._todo)}
        clips = [clip for clip in found.clips if self._planned.get(clip.path) != clip and clip.path not in busy]
        clips = [clip for clip in clips if self._is_complete(clip)]
        changed = {clip.path for clip in clips}
        self._foreign = {path: why for path, why in self._foreign.items() if path in there - changed}
        self._note(found.problems | self._foreign)
        if clips or first:
            self._queue(clips, first, there)
        self._planned |= {clip.path: clip for clip in clips}

    def _note(self, problems: dict[str, str]) -> None:
        """The problems of this look replace those of the one before."""
        if problems != self.problems:
            for path in self.problems:
                self.report.failed.pop(path, None)
            self.problems = problems
            self.report.failed |= problems
            self.rest.due = True

    def _queue(self, clips: list[Clip], first: bool, paths: set[str]) -> None:
        """Put clips into the queue, but for what is done. paths: of all clips that there are."""
        self._rows = self._manifest.enter(clips)
        if first:
            self._forget_vanished(paths)
        todo, skipped = [], 0
        names = {name for clip in clips for name in self._outputs(clip.path).values()}
        there = self._storage.have(names)
        for clip in clips:
            row = self._rows[clip.path]
            foreign = {*self._outputs(clip.path).values()} & there
            if self._is_finished(clip, row, there):
                if row["status"] == "failed":
                    self.report.failed[clip.path] = row["error"]
                else:
                    skipped += 1
            elif foreign and not row["attempts"] and not self._settings.force:
                self._foreign[clip.path] = f"{min(foreign)} exists, and no batch made it; --force overwrites it"
            else:
                self._tries[clip.path] = 0
                todo.append(clip)
        self._todo.extend(todo)
        self.save.due = self.save.due or bool(todo)
        self.report.skipped += skipped
        self._note(self.problems | self._foreign)
        self._tell(Planned(todo, skipped, self.problems))

    def _is_complete(self, clip: Clip) -> bool:
        """While files arrive: whether a clip is not being written any more, as far as can be told."""
        if not self._settings.watch:
            return True
        now = monotonic()
        before, since = self._seen.get(clip.path, (None, now))
        if before != clip:
            since = now
        self._seen[clip.path] = clip, since
        # Its own clock may be another machine's, so an old file counts as complete, but a new one need not look old.
        return max(now - since, time() - clip.mtime_ns / 1e9) >= self._settings.settle

    def _forget_vanished(self, found: set[str]) -> None:
        """Clips that are not there any more and of which there is nothing."""
        gone = [path for path, row in self._rows.items() if path not in found and row["status"] != "done"]
        gone = [path for path in gone if not (self._settings.folder / path).exists()]
        self._manifest.forget(gone)
        for path in gone:
            del self._rows[path]

    def _is_finished(self, clip: Clip, row: Row, there: set[str]) -> bool:
        """Whether there is nothing to do for a clip: neither it nor the configuration has changed since."""
        again = self._settings.force or (self._settings.retry_failed and row["status"] == "failed")
        if row["status"] not in ("done", "failed") or (again and clip.path not in self._tries):
            return False
        # What could not even be read, or killed its worker, may have been none of the clip's fault.
        if row["status"] == "failed" and (row["config"] != self._config or not row["sha256"]):
            return False
        if row["status"] == "done":
            wanted = self._wanted(clip.path)
            if not wanted.items() <= json.loads(row["outputs"]).items() or not wanted.keys() <= there:
                return False
        if (row["size"], row["mtime_ns"]) == (clip.size, clip.mtime_ns):
            return True
        try:
            same = row["size"] == clip.size and row["sha256"] == hash_file(self._settings.folder / clip.path)
        except OSError:
            return False
        if same:
            self._manifest.touch(clip.path, clip.mtime_ns)
        return same

    def _submit(self) -> None:
        while self._todo and self._workers.free > 0 and not (self._stopping or self._is_away):
            clip = self._todo[0]
            if lack := self._disk.lacks([clip.size, *(running.size for running in self._running.values())]):
                if self._running or self._settings.watch:  # what runs may end yet, or somebody make room
                    return
                raise DiskFull(f"no room for the results of {clip.path}: {lack}")
            self._todo.popleft()
            self._manifest.begin(clip, self._config)
            self._tries[clip.path] += 1
            self._running[clip.path] = clip
            self._tell(Began(clip, self._tries[clip.path]))
            self._workers.submit(Job(clip.path, str(self._settings.folder / clip.path), self._outputs(clip.path)))

    def _end(self, outcome: Outcome) -> None:
        clip = self._running[outcome.path]
        if outcome.fault:
            self._storage.tidy(self._outputs(clip.path).values())
        if outcome.fault == "configuration":
            raise UsageError(f"{outcome.error} (at {clip.path})")
        if outcome.fault == "full":
            raise DiskFull(f"the disk is full: {outcome.error}")
        del self._running[clip.path]
        again = outcome.fault == "passing" and self._tries[clip.path] <= self._settings.retry
        if again:
            self._manifest.set_pending([clip.path], outcome.error)
            self._todo.append(clip)
        else:
            self._enter(clip, outcome)
            self.save.due = True
        self._tell(Ended(clip, outcome, again))

    def _enter(self, clip: Clip, outcome: Outcome) -> None:
        """Write down what became of a clip, and remove results that are none any more."""
        before: dict[str, str] = json.loads(self._rows[clip.path]["outputs"])
        made = {} if outcome.fault else self._wanted(clip.path)
        # Results go when the clip is another one now: not for a wrong option, nor for a worker that died.
        same = outcome.sha256 == self._rows[clip.path]["sha256"] if outcome.sha256 else bool(outcome.fault)
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

    def _named(self, name: str) -> dict[str, str]:
        return {kind: name + SUFFIX[kind] for kind in SUFFIX}

    def _outputs(self, path: str) -> dict[str, str]:
        """A clip's outputs: their names, by the stage that writes them."""
        named = self._named(self._rows[path]["name"])
        return {kind: named[kind] for kind in self._settings.config}

    def _wanted(self, path: str) -> dict[str, str]:
        """A clip's outputs as they should be: name and configuration."""
        return {name: self._settings.config[kind] for kind, name in self._outputs(path).items()}
