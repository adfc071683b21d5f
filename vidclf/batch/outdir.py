"""What lies in the folder of results: lock, manifest, table, summary; and, if it is a URL, what of it lies here."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from uuid import uuid4

from vidclf.batch.manifest import Manifest
from vidclf.batch.storage import Folder, Remote, Storage, local_path
from vidclf.batch.summary import write_summary
from vidclf.batch.table import write_table
from vidclf.errors import UsageError
from vidclf.files import part_of
from vidclf.models.cache import cache_folder

log = logging.getLogger(__name__)

MANIFEST, LOCK, SUMMARY, TABLE = "manifest.sqlite", "manifest.lock", "summary.html", "table"
EDITION = "manifest.edition"  # beside a manifest that lies behind a URL: which of all that lay there it is


class OutDir:
    """The results of a batch over `folder`; one process at a time has them, and when it ends, however, they are free.

    Of a URL, the manifest is kept on this machine, and what is there is a copy, made now and then and at the end.
    Where another machine has made one since, that is taken over here. Machines may take turns, then, but two at the
    same time do not hear of each other.
    Raises UsageError for a place that cannot be used, or is in use.
    """

    def __init__(self, place: str, folder: Path):
        self.place, self.folder = place, folder
        local = local_path(place)
        self.storage: Storage = Remote(place) if local is None else Folder(local)
        key = sha256(place.rstrip("/").encode()).hexdigest()[:16]
        self.root = cache_folder() / "batch" / key if local is None else local
        try:
            if folder.exists() and self.root.exists() and self.root.samefile(folder):
                raise UsageError(f"{place} is the folder of the clips; name another for the results")
            self._is_new = not self.root.exists()
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise UsageError(f"cannot use {place} as folder for results: {reason}") from None

    def __enter__(self) -> Self:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self.root / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{self.place} is in use by another vidclf batch") from None
        except OSError as error:
            raise UsageError(f"cannot write to {self.place}: {error.strerror}") from None
        try:
            path = self.root / MANIFEST
            if isinstance(self.storage, Remote):
                self._take_over(self.storage, path)
            self.manifest = Manifest(path)
            self._note_folder()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        unused = self._is_new and kind is not None and not any(self.manifest.rows("path"))
        self.manifest.close()
        self._lock.release()
        if unused:  # a wrong option shall leave no folder of results
            with suppress(OSError):
                for name in (MANIFEST, LOCK):
                    (self.root / name).unlink(missing_ok=True)
                self.root.rmdir()

    def _take_over(self, storage: Remote, path: Path) -> None:
        """Take the manifest that lies there, where there is none here or another machine has concluded since."""
        ours = self.root / EDITION
        with TemporaryDirectory() as folder:
            theirs = Path(folder) / EDITION
            storage.download(EDITION, theirs)
            if path.exists() and _text(theirs) in ("", _text(ours)):
                return
            part = part_of(path)  # ours is there until theirs is complete
            part.unlink(missing_ok=True)
            storage.download(MANIFEST, part)
            if not part.exists():
                return
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            part.replace(path)
            ours.write_text(_text(theirs), encoding="ascii")

    def _note_folder(self) -> None:
        """Note whose results these are, and warn where they were another folder's; not of one that was moved."""
        before, now = self.manifest.fact("folder"), str(self.folder.resolve())
        if before != now:
            if before and Path(before).is_dir() and not self.folder.samefile(before):
                words = "%s holds the results of the clips in %s; those of %s replace them where names are the same"
                log.warning(words, self.place, before, self.folder)
            self.manifest.note("folder", now)

    def save(self, problems: Collection[str]) -> None:
        """Copy the books to where the results are, if that is behind a URL, so that another machine may go on.

        In the copy, clips that are planned count as begun, or the other machine would take the results that arrive
        there after it for somebody else's. problems: the clips that are not planned.
        """
        if isinstance(self.storage, Remote):
            self._upload(self.storage, [], {row["path"] for row in self.manifest.rows("path")}.difference(problems))

    def _upload(self, storage: Remote, files: Iterable[Path], claimed: Iterable[str] = ()) -> None:
        with TemporaryDirectory() as folder:
            manifest, edition = Path(folder) / MANIFEST, Path(folder) / EDITION
            self.manifest.copy(manifest)
            if claimed:
                with closing(Manifest(manifest)) as copy:
                    copy.claim(claimed)
            edition.write_text(uuid4().hex, encoding="ascii")
            storage.upload({path.name: path for path in [*files, manifest, edition]})
            shutil.copy(edition, self.root / EDITION)

    def conclude(self, table: str, problems: dict[str, str]) -> None:
        """Bring table and summary up to date with the manifest. table: parquet, csv, or none.

        problems: what could not even be tried, and why.
        """
        files = [self.root / SUMMARY, *([self.root / f"{TABLE}.{table}"] if table != "none" else [])]
        state = json.dumps([self.manifest.state(), str(self.folder), problems, [path.name for path in files]])
        if self.manifest.fact("concluded") == state and all(path.exists() for path in files):
            return
        if table != "none":
            write_table(files[-1], self.manifest, self.storage)
        write_summary(files[0], self.manifest, str(self.folder), problems)
        if isinstance(self.storage, Remote):
            self._upload(self.storage, files)
        self.manifest.note("concluded", state)


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.exists() else ""
