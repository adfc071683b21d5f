"""The plan of a batch: which clips to process, in which order, and the names of their results."""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Row
from time import monotonic, time

from vidclf.batch.checks import decoded
from vidclf.batch.clips import Clip, Found
from vidclf.batch.events import Planned, Report
from vidclf.batch.manifest import Manifest
from vidclf.batch.names import output_names
from vidclf.batch.storage import Storage
from vidclf.errors import describe
from vidclf.files import hash_file

log = logging.getLogger(__name__)

SCAN_SECONDS = 2.0  # between two scans for new clips
SCAN_PAUSES = 4  # wait at least this many times what a scan took, because the driver does nothing else meanwhile, ...
LONGEST_PAUSE = 60.0  # ... and at most these seconds
RETRY_PAUSES = (5.0, 30.0)  # seconds before the first retry of a clip, and before each later one
# Seconds until a watch tries a clip again that failed in spite of its retries; each time twice as many, up to the most.
AGAIN_SECONDS, AGAIN_MOST = 600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a batch. config: `fingerprints` of the pipeline."""

    folder: Path
    config: dict[str, str]
    retry: int = 2
    force: bool = False
    retry_failed: bool = False
    watch: bool = False
    settle: float = 5.0  # seconds a clip must be unchanged before it counts as complete (watch only)


class Plan:
    """The clips to process, from the files in the folder and the manifest.

    find: looks for clips. report: clips that were finished before, or failed, are added to it.
    """

    def __init__(
        self,
        settings: Settings,
        find: Callable[[], Found],
        manifest: Manifest,
        storage: Storage,
        report: Report,
    ):
        self._settings, self._find, self._report = settings, find, report
        self._manifest, self._storage = manifest, storage
        self.config = json.dumps(settings.config, sort_keys=True)  # as stored in the manifest
        self.queue: deque[Clip] = deque()
        self.tries: Counter[str] = Counter()  # in this run, of each clip that was ever in the queue
        self.rows: dict[str, Row] = {}  # of the manifest, from when each clip was last planned
        self.problems: dict[str, str] = {}  # clips that could not be tried at the latest scan, with the reasons
        self.is_away = False  # the folder, at the latest scan
        self._seen: dict[str, tuple[Clip, float]] = {}  # the state of each clip, and since when
        self._planned: dict[str, Clip] = {}  # so that a clip is planned again only when it changes
        self._foreign: dict[str, str] = {}  # those of them whose results' names are taken
        self._gone: list[Clip] = []  # from the queue, and not yet told
        self._next_look: float | None = None  # None before the first one
        self._not_before: dict[str, float] = {}  # when the retry of a clip in the queue may begin
        self._again: dict[str, float] = {}  # when to plan a failed clip again
        self._pauses: dict[str, float] = {}  # of each clip that was ever in `_again`, the latest

    @property
    def is_due(self) -> bool:
        """Whether it is time to look for clips: once, or repeatedly when watching."""
        return self._next_look is None or (self._settings.watch and monotonic() >= self._next_look)

    def look(self, running: Collection[str]) -> Planned | None:
        """Look for clips and put those to process into the queue; None if there is nothing new.

        When watching, clips or results may be unavailable for a moment, like shares and buckets.
        """
        first = self._next_look is None
        try:
            planned = self._plan(self._found(), running, first)
        except Exception as error:  # clients of buckets raise many kinds of errors
            if first:
                raise
            if not self.is_away:
                log.warning("%s; trying again", describe(error))
            self.is_away = True
            return None
        self.is_away = False
        return planned

    def _found(self) -> Found:
        """What is in the folder, and when to look again."""
        began = monotonic()
        try:
            return self._find()
        finally:
            ended = monotonic()
            self._next_look = ended + min(max(SCAN_SECONDS, SCAN_PAUSES * (ended - began)), LONGEST_PAUSE)

    def next_clip(self) -> Clip | None:
        """The first clip in the queue that may begin now."""
        now = monotonic()
        return next((clip for clip in self.queue if self._not_before.get(clip.path, now) <= now), None)

    def begin(self, clip: Clip) -> None:
        """Take a clip out of the queue for an attempt."""
        self.queue.remove(clip)
        self._not_before.pop(clip.path, None)
        self.tries[clip.path] += 1

    def retry(self, clip: Clip) -> None:
        """Put a clip back into the queue after a pause, in which a temporary fault may pass."""
        pause = RETRY_PAUSES[min(self.tries[clip.path], len(RETRY_PAUSES)) - 1]
        self._not_before[clip.path] = monotonic() + pause
        self.queue.append(clip)

    def put_off(self, clip: Clip) -> None:
        """Let a watch plan a clip again that failed through a temporary fault that lasted longer than its retries."""
        before = self._pauses.get(clip.path, AGAIN_SECONDS / 2)
        self._pauses[clip.path] = pause = min(2 * before, AGAIN_MOST)
        self._again[clip.path] = monotonic() + pause

    def settle(self, clip: Clip) -> None:
        """Forget that a clip once failed through a temporary fault."""
        self._pauses.pop(clip.path, None)

    def outputs(self, path: str) -> dict[str, str]:
        """The names of a clip's outputs, by the stage that writes them."""
        names = output_names(self.rows[path]["name"])
        return {kind: names[kind] for kind in self._settings.config}

    def wanted(self, path: str) -> dict[str, str]:
        """The outputs that a clip should have: name and configuration."""
        return {name: self._settings.config[kind] for kind, name in self.outputs(path).items()}

    def _plan(self, found: Found, running: Collection[str], first: bool) -> Planned | None:
        """Plan the clips that are new, changed, or not done yet; if this fails, the next scan plans them."""
        there = {clip.path for clip in found.clips}
        for path in {*found.problems, *self._foreign, *self._report.failed} - there:
            self._planned.pop(path, None)  # when it is repaired, or comes back, it is planned again
        now = monotonic()
        for path in [path for path, due in self._again.items() if due <= now]:
            del self._again[path]
            self._planned.pop(path, None)
        gone = [clip for clip in self.queue if clip.path not in there]
        for clip in gone:  # so is what has not begun
            self.queue.remove(clip)
            self._planned.pop(clip.path, None)
        busy = {*running, *(clip.path for clip in self.queue)}
        clips = [clip for clip in found.clips if self._planned.get(clip.path) != clip and clip.path not in busy]
        clips = [clip for clip in clips if self._is_complete(clip)]
        changed = {clip.path for clip in clips}
        self._foreign = {path: why for path, why in self._foreign.items() if path in there - changed}
        self._note(found.problems | self._foreign)
        self._gone += gone
        if not (clips or first or self._gone):
            return None
        planned = self._queue(clips, first, there) if clips or first else Planned([], 0, self.problems)
        self._planned |= {clip.path: clip for clip in clips}
        gone, self._gone = self._gone, []
        return replace(planned, gone=gone)

    def _note(self, problems: dict[str, str]) -> None:
        """Replace the problems of the last scan by those of this one."""
        if problems != self.problems:
            for path in self.problems:
                self._report.failed.pop(path, None)
            self.problems = problems
            self._report.failed |= problems

    def _queue(self, clips: list[Clip], first: bool, paths: set[str]) -> Planned:
        """Put clips into the queue, except finished ones. paths: of all clips in the folder."""
        self.rows |= self._manifest.enter(clips)
        if first:
            self._forget_vanished(paths)
        todo, skipped = [], 0
        names = {name for clip in clips for name in self.outputs(clip.path).values()}
        there = self._storage.have(names)
        for clip in clips:
            row = self.rows[clip.path]
            foreign = {*self.outputs(clip.path).values()} & there
            if self._is_finished(clip, row, there):
                if row["status"] == "failed":
                    self._report.failed[clip.path] = row["error"]
                elif clip.path not in self._planned:  # in a watch, a clip that was touched is looked at again
                    skipped += 1
            elif foreign and not row["attempts"] and not self._settings.force:
                self._foreign[clip.path] = f"{min(foreign)} exists, but no batch made it; overwrite it with --force"
            else:
                self.tries[clip.path] = 0
                for times in (self._not_before, self._again):
                    times.pop(clip.path, None)
                todo.append(clip)
        self.queue.extend(todo)
        self._report.skipped += skipped
        self._note(self.problems | self._foreign)
        return Planned(todo, skipped, self.problems)

    def _is_complete(self, clip: Clip) -> bool:
        """When watching: whether a clip is no longer being written, as far as can be seen."""
        if not self._settings.watch:
            return True
        now = monotonic()
        before, since = self._seen.get(clip.path, (None, now))
        if before != clip:
            since = now
        self._seen[clip.path] = clip, since
        # Its time may be from another machine's clock: a file that looks old is complete, a new one may never look old.
        return max(now - since, time() - clip.mtime_ns / 1e9) >= self._settings.settle

    def _forget_vanished(self, found: set[str]) -> None:
        """Remove clips that no longer exist and have no results."""
        rows = [row for row in self._manifest.rows("path, status, outputs") if row["path"] not in found]
        gone = [row["path"] for row in rows if row["status"] != "done" and not decoded(row, "outputs")]
        self._manifest.forget(path for path in gone if not (self._settings.folder / path).exists())

    def _is_finished(self, clip: Clip, row: Row, there: set[str]) -> bool:
        """Whether there is nothing to do for a clip, because neither it nor the configuration has changed."""
        again = self._settings.force or (self._settings.retry_failed and row["status"] == "failed")
        if row["status"] not in ("done", "failed") or (again and clip.path not in self.tries):
            return False
        if row["status"] == "failed" and row["config"] != self.config:
            return False
        if row["status"] == "done":
            wanted = self.wanted(clip.path)
            if not wanted.items() <= decoded(row, "outputs").items() or not wanted.keys() <= there:
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
