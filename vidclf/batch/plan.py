"""The plan of a batch: which clips are to be done, in which order, and what their results are called."""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row
from time import monotonic, time

from vidclf.batch.clips import Clip, Found
from vidclf.batch.events import Planned, Report
from vidclf.batch.manifest import Manifest
from vidclf.batch.storage import Storage
from vidclf.errors import UsageError, describe
from vidclf.files import hash_file

log = logging.getLogger(__name__)

SUFFIX = {"write": ".mp4", "record": ".jsonl"}
SCAN_SECONDS = 2.0  # between two looks for new clips


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


class Plan:
    """The clips that are to be done, by what lies in the folder and what the manifest knows.

    find: looks for clips. report: here what was finished before, or failed, is entered.
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
        self.config = json.dumps(settings.config, sort_keys=True)  # as the manifest has it
        self.queue: deque[Clip] = deque()
        self.tries: Counter[str] = Counter()  # of this run, of each clip that was ever in the queue
        self.rows: dict[str, Row] = {}  # of the manifest, as they were when clips were last planned
        self.problems: dict[str, str] = {}  # what could not even be tried at the latest look, and why
        self.is_away = False  # the folder, at the latest look
        self._seen: dict[str, tuple[Clip, float]] = {}  # how each clip looked, and since when
        self._planned: dict[str, Clip] = {}  # so that a clip is planned again only when it changes
        self._foreign: dict[str, str] = {}  # of these: clips whose results' names are taken
        self._looked: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to look for clips: once, and again and again while we watch."""
        return self._looked is None or (self._settings.watch and monotonic() - self._looked >= SCAN_SECONDS)

    def look(self, running: Collection[str]) -> Planned | None:
        """Look for clips and put those into the queue that are to be done; None where nothing is planned anew.

        While we watch, clips or results may be away for a moment, as shares and buckets are.
        """
        first, self._looked = self._looked is None, monotonic()
        try:
            planned = self._plan(self._find(), running, first)
        except (UsageError, OSError) as error:
            if first:
                raise
            if not self.is_away:
                log.warning("%s; it is looked for again", describe(error))
            self.is_away = True
            return None
        self.is_away = False
        return planned

    def outputs(self, path: str) -> dict[str, str]:
        """A clip's outputs: their names, by the stage that writes them."""
        names = output_names(self.rows[path]["name"])
        return {kind: names[kind] for kind in self._settings.config}

    def wanted(self, path: str) -> dict[str, str]:
        """A clip's outputs as they should be: name and configuration."""
        return {name: self._settings.config[kind] for kind, name in self.outputs(path).items()}

    def _plan(self, found: Found, running: Collection[str], first: bool) -> Planned | None:
        """Plan the clips that are new, changed, or not done yet; those of a look that fails here come with the next."""
        there = {clip.path for clip in found.clips}
        for path in {*found.problems, *self._foreign} - there:
            self._planned.pop(path, None)  # when it is mended, or comes back, it is looked at again
        busy = {*running, *(clip.path for clip in self.queue)}
        clips = [clip for clip in found.clips if self._planned.get(clip.path) != clip and clip.path not in busy]
        clips = [clip for clip in clips if self._is_complete(clip)]
        changed = {clip.path for clip in clips}
        self._foreign = {path: why for path, why in self._foreign.items() if path in there - changed}
        self._note(found.problems | self._foreign)
        planned = self._queue(clips, first, there) if clips or first else None
        self._planned |= {clip.path: clip for clip in clips}
        return planned

    def _note(self, problems: dict[str, str]) -> None:
        """The problems of this look replace those of the one before."""
        if problems != self.problems:
            for path in self.problems:
                self._report.failed.pop(path, None)
            self.problems = problems
            self._report.failed |= problems

    def _queue(self, clips: list[Clip], first: bool, paths: set[str]) -> Planned:
        """Put clips into the queue, but for what is done. paths: of all clips that there are."""
        self.rows = self._manifest.enter(clips)
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
                else:
                    skipped += 1
            elif foreign and not row["attempts"] and not self._settings.force:
                self._foreign[clip.path] = f"{min(foreign)} exists, and no batch made it; --force overwrites it"
            else:
                self.tries[clip.path] = 0
                todo.append(clip)
        self.queue.extend(todo)
        self._report.skipped += skipped
        self._note(self.problems | self._foreign)
        return Planned(todo, skipped, self.problems)

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
        gone = [path for path, row in self.rows.items() if path not in found and row["status"] != "done"]
        gone = [path for path in gone if not (self._settings.folder / path).exists()]
        self._manifest.forget(gone)
        for path in gone:
            del self.rows[path]

    def _is_finished(self, clip: Clip, row: Row, there: set[str]) -> bool:
        """Whether there is nothing to do for a clip: neither it nor the configuration has changed since."""
        again = self._settings.force or (self._settings.retry_failed and row["status"] == "failed")
        if row["status"] not in ("done", "failed") or (again and clip.path not in self.tries):
            return False
        # What could not even be read, or killed its worker, may have been none of the clip's fault.
        if row["status"] == "failed" and (row["config"] != self.config or not row["sha256"]):
            return False
        if row["status"] == "done":
            wanted = self.wanted(clip.path)
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


def output_names(name: str) -> dict[str, str]:
    """By the stage that writes it: each output that a clip of this name can have."""
    return {kind: name + suffix for kind, suffix in SUFFIX.items()}
