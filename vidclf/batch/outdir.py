"""The folder of results with its lock, manifest, table and summary; for a URL, also the local copy."""

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

from vidclf.batch.clips import RESULTS, printable
from vidclf.batch.manifest import Manifest
from vidclf.batch.storage import Folder, Remote, Storage, local_path
from vidclf.batch.summary import write_summary
from vidclf.batch.table import write_table
from vidclf.errors import UsageError, VidclfError
from vidclf.files import check_folder, not_now, part_of, rename
from vidclf.lock import NameLock
from vidclf.models.cache import cache_folder

log = logging.getLogger(__name__)

MANIFEST, SUMMARY, TABLE = RESULTS, "summary.html", "table"
EDITION = "manifest.edition"  # beside a manifest at a URL: identifies its version


class OutDir:
    """The results of a batch over `folder`; one process at a time locks them, and the lock ends with the process.

    For a URL, the manifest is kept on this machine, and a copy is saved there from time to time and at the end. If
    another machine has saved a newer copy, it is used here. So machines may take turns, but must not run at the same
    time.
    Raises UsageError for a place that cannot be used, or is in use.
    """

    def __init__(self, place: str, folder: Path):
        if place != printable(place):  # the table's library cannot write there
            raise UsageError(f"the name {printable(place)} is not valid UTF-8; use another folder for the results")
        self.place, self.folder = place, folder
        local = local_path(place)
        self.storage: Storage = Remote(place) if local is None else Folder(local)
        key = sha256(place.rstrip("/").encode()).hexdigest()[:16]
        self.root = cache_folder() / "batch" / key if local is None else local
        try:
            if folder.exists() and self.root.exists() and self.root.samefile(folder):
                raise UsageError(f"{place} is the folder of the clips; use another folder for the results")
            self._is_new = not self.root.exists()
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise not_now(error)(f"cannot use {place} as the folder for results: {reason}") from None

    def __enter__(self) -> Self:
        self._lock = NameLock(self.root / MANIFEST)
        try:
            if not self._lock.acquire():
                raise UsageError(f"{self.place} is in use by another vidclf batch")
        except OSError as error:
            raise not_now(error)(f"cannot write to {self.place}: {error.strerror}") from None
        try:
            check_folder(self.root)
            path = self.root / MANIFEST
            if isinstance(self.storage, Remote):
                self._take_over(self.storage, path)
            self.manifest = Manifest(path)
            try:
                self._note_folder()
            except BaseException:
                self.manifest.close()
                raise
        except BaseException:
            self._release(unused=self._is_new)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        unused = False
        try:
            with suppress(VidclfError):  # report the first error, not this one
                unused = self._is_new and kind is not None and not any(self.manifest.rows("path"))
            self.manifest.close()
        finally:
            self._release(unused)

    def _release(self, unused: bool) -> None:
        with suppress(OSError):
            if unused:  # a wrong option must not leave a folder of results
                (self.root / MANIFEST).unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            if unused:
                self.root.rmdir()  # the lock was in it

    def _take_over(self, storage: Remote, path: Path) -> None:
        """Use the remote manifest if there is none here or another machine has saved one since."""
        ours = self.root / EDITION
        with TemporaryDirectory() as folder:
            theirs = Path(folder) / EDITION
            storage.download(EDITION, theirs)
            if path.exists() and _text(theirs) in ("", _text(ours)):
                return
            part = part_of(path)  # keep ours until theirs is complete
            part.unlink(missing_ok=True)
            storage.download(MANIFEST, part)
            if not part.exists():
                return
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            rename(part, path)
            ours.write_text(_text(theirs), encoding="ascii")

    def _note_folder(self) -> None:
        """Note the folder of the clips, and warn if the results were of another one, unless that was moved."""
        before, now = self.manifest.fact("folder"), printable(str(self.folder.resolve()))
        if before != now:
            if before and Path(before).is_dir() and not self.folder.samefile(before):
                words = "%s contains the results of the clips in %s; those of %s replace them if the names match"
                log.warning(words, self.place, before, self.folder)
            self.manifest.note("folder", now)

    def save(self, problems: Collection[str]) -> None:
        """If the results are at a URL, copy the manifest there, so that another machine can continue.

        In the copy, planned clips count as begun. Otherwise the other machine would not recognise results that are
        written after the copy. problems: the clips that are not planned.
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
        """Update the table and the summary from the manifest. table: parquet, csv, or none.

        problems: clips that could not be tried, with the reasons.
        """
        files = [self.root / SUMMARY, *([self.root / f"{TABLE}.{table}"] if table != "none" else [])]
        state = json.dumps([self.manifest.state(), str(self.folder), problems, [path.name for path in files]])
        if self.manifest.fact("concluded") == state and all(path.exists() for path in files):
            return
        write_summary(files[0], self.manifest, printable(str(self.folder)), problems)
        if table != "none":
            write_table(files[-1], self.manifest, self.storage)
        if isinstance(self.storage, Remote):
            self._upload(self.storage, files)
        self.manifest.note("concluded", state)


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.exists() else ""
