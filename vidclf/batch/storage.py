"""Where results go: a folder, or a URL that fsspec supports (s3://, gs://, ...); complete files only."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vidclf.errors import UsageError, one_line
from vidclf.files import PIECE, discard_part

Paths = dict[str, Path]
Tell = Callable[[], object]


class Folder:
    """A folder on this machine, or one that several machines share."""

    def __init__(self, root: Path):
        self.root = root

    @contextmanager
    def writing(
        self, outputs: dict[str, str], tell: Tell = lambda: None, scratch: Path | None = None
    ) -> Iterator[Paths]:
        """Where to write the outputs (names by their key); a stage gives a file its name when it is complete.

        After an error no incomplete file is left.
        """
        try:
            yield {key: self.root / name for key, name in outputs.items()}
        except BaseException:
            self.tidy(outputs.values())
            raise

    def tidy(self, names: Iterable[str]) -> None:
        """Remove the incomplete files that an interrupted process has left of these outputs."""
        for name in names:
            discard_part(self.root / name)

    def have(self, names: Iterable[str]) -> set[str]:
        """The names that exist."""
        return {name for name in names if os.path.isfile(f"{self.root}/{name}")}  # noqa: PTH113 - 5 times as fast

    def remove(self, names: Iterable[str]) -> None:
        """Remove results; those that do not exist are left out."""
        for path in (self.root / name for name in names):
            if not path.is_dir():  # a folder of that name is not a result
                path.unlink(missing_ok=True)

    def open(self, name: str) -> IO[str]:
        """Open a result for reading, as text."""
        return (self.root / name).open(encoding="utf-8")

    def free(self) -> tuple[int, int]:
        """Free and total bytes."""
        usage = shutil.disk_usage(self.root)
        return usage.free, usage.total


class Remote:
    """A place that fsspec supports: results are made in a temporary folder, then uploaded."""

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self._fs, self._root = connect(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self.url,)

    @contextmanager
    def writing(
        self, outputs: dict[str, str], tell: Tell = lambda: None, scratch: Path | None = None
    ) -> Iterator[Paths]:
        """Where to write the outputs (names by their key); they are uploaded when the block ends without an error.

        tell: called for every uploaded piece. scratch: where the temporary folder is made; None is the system's place.
        """
        with tempfile.TemporaryDirectory(prefix="vidclf-", dir=scratch) as folder:
            paths = {key: Path(folder) / PurePosixPath(name).name for key, name in outputs.items()}
            yield paths
            self.upload({outputs[key]: path for key, path in paths.items() if path.exists()}, tell)

    def upload(self, files: dict[str, Path], tell: Tell = lambda: None) -> None:
        """Copy files to their names; if the storage supports it, none appears before all are complete."""
        for name in files:
            self._fs.makedirs(self._place(name).rpartition("/")[0], exist_ok=True)
        with self._fs.transaction:
            for name, path in files.items():
                with path.open("rb") as file, self._fs.open(self._place(name), "wb") as upload:
                    while piece := file.read(PIECE):
                        upload.write(piece)
                        tell()

    def download(self, name: str, path: Path) -> None:
        """Download a file, if it exists."""
        if self._fs.exists(self._place(name)):
            self._fs.get_file(self._place(name), str(path))

    def tidy(self, names: Iterable[str]) -> None:
        """Nothing to do: incomplete files are in a temporary folder."""

    def have(self, names: Iterable[str]) -> set[str]:
        """The names that exist, from one listing for any number of names."""
        if not self._fs.exists(self._root):
            return set()
        there = {path.removeprefix(self._root).lstrip("/") for path in self._fs.find(self._root)}
        return there & set(names)

    def remove(self, names: Iterable[str]) -> None:
        """Remove results; those that do not exist are left out."""
        for name in names:  # without a listing, whose cost grows with every result
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._place(name))

    def open(self, name: str) -> IO[str]:
        """Open a result for reading, as text."""
        return self._fs.open(self._place(name), "r", encoding="utf-8")

    def free(self) -> tuple[int, int]:
        """Free and total bytes in the place where results are kept until they are uploaded."""
        usage = shutil.disk_usage(tempfile.gettempdir())
        return usage.free, usage.total

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"


Storage = Folder | Remote


def local_path(place: str) -> Path | None:
    """The path of a place on this machine: a plain one, or file://...; None for any other URL."""
    if "://" not in place:
        return Path(place)
    parts = urlsplit(place)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def connect(url: str) -> tuple[Any, str]:
    """(fsspec's file system, the path there) of a URL; UsageError says what is missing."""
    try:
        import fsspec
    except ModuleNotFoundError:
        raise UsageError(f'{url} needs fsspec: pip install "vidclf[ray]"') from None
    try:
        filesystem, root = fsspec.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"cannot use {url}: {one_line(error)}") from None
    return filesystem, root.rstrip("/")
