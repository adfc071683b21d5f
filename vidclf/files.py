"""Files that get their names only when they are complete, and what tells a file's content from any other."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

from vidclf.errors import UsageError, VidclfError

log = logging.getLogger(__name__)

PIECE = 1 << 20  # bytes of a file that are read at once


class PartFile:
    """`with PartFile(path) as part:` write to `part`; leaving the block without an error renames it to `path`.

    The part lies beside it, so that the rename is one step: `path` is complete, or as it was before.
    After an error the part stays where it is, for whoever wants to save what is in it. A stage that is closed
    early (GeneratorExit: nobody wants more frames) did not fail, so its file gets its name.
    keep_suffix: call the part NAME.part.SUFFIX, for writers that choose the format by the suffix.
    Raises UsageError, before anything is written, if `path` is something else than a file (a device or a pipe would be
    replaced, not written to), if it exists and `force` is not set, or if its folder cannot be written to; VidclfError
    for an OSError inside the block, such as a full disk.
    """

    def __init__(self, path: str | Path, force: bool = False, keep_suffix: bool = False):
        self.path = Path(path)
        try:
            there = self.path.exists()
            if there and not self.path.is_file():
                what = "a folder; name a file in it" if self.path.is_dir() else "not an ordinary file"
                raise UsageError(f"{self.path} is {what}")
            self.part = part_of(self.path, keep_suffix)
            if there and not force:
                raise UsageError(f"{self.path} exists; --force (force: true) overwrites it")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            left_over = self.part.exists()
            self.part.open("ab").close()  # tried, as permissions are not the only reason not to be able to
            if not left_over:
                self.part.unlink()
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}") from None

    def __enter__(self) -> Path:
        return self.part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise self._failed(error) from None
        if (kind is None or issubclass(kind, GeneratorExit)) and self.part.exists():
            try:
                # The rename must not reach the disk before what is in the file has.
                with self.part.open("rb+") as file:
                    os.fsync(file.fileno())
                self.part.replace(self.path)
            except OSError as failure:
                raise self._failed(failure) from None

    def _failed(self, error: OSError) -> VidclfError:
        return VidclfError(f"cannot write {self.part}: {error.strerror or error}")


def part_of(path: Path, keep_suffix: bool = False) -> Path:
    """What a file is called while `PartFile` writes it."""
    return path.with_name(f"{path.stem}.part{path.suffix}" if keep_suffix else f"{path.name}.part")


def put_aside(part: Path) -> None:
    """Rename what a live source's run left that did not end, if there is anything: it cannot be made again.

    OSError where it cannot be renamed.
    """
    if not part.exists() or not part.stat().st_size:
        return
    number = 1
    while (kept := part.with_name(f"{part.name}-{number}")).exists():
        number += 1
    part.rename(kept)
    log.warning("%s was left by a run that did not end; it is kept as %s", part, kept.name)


def check_folder(folder: Path) -> None:
    """Make a folder unless there is one; UsageError where it takes no files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from None


def hash_file(path: Path, tell: Callable[[], object] = lambda: None) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; OSError where it cannot be read.

    tell: hears of every piece, as a large file takes long.
    """
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            tell()
    return digest.hexdigest()
