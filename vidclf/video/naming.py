"""Names the files of recordings, and deletes those that are old enough."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import time

from vidclf.files import part_of
from vidclf.frame import Source

log = logging.getLogger(__name__)

STAMP = "%Y%m%dT%H%M%SZ"  # ISO 8601, UTC: sorts by time, and has no hour that comes twice in autumn
STAMPED = r"-\d{8}T\d{6}Z(-\d+)?"
BUSY = 600  # seconds: another process may still be writing a part that was changed this recently


def stem_of(source: Source) -> str:
    """A file name for a source's recordings: rtsp://user:***@host:554/cam -> host-554-cam."""
    scheme, _, rest = source.name.rpartition("://")
    if scheme:
        name = rest.rpartition("@")[2]
    else:
        name = f"camera-{source.name}" if source.name.isdigit() else Path(source.name).stem
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "source"


def stamped(path: Path, source: Source, seconds: float, taken: Collection[Path]) -> Path:
    """The path with a time in its name: the date (UTC) for a live source, the time in a recording, hhmmss, otherwise.

    seconds: since 1970 of a live source, else from its start. taken: paths that it must not be; nor may it be that of
    a live source's earlier recording, or of one that is being written.
    """
    if source.live:
        stamp = datetime.fromtimestamp(seconds, UTC).strftime(STAMP)
    else:
        minutes, second = divmod(int(seconds), 60)
        stamp = f"{minutes // 60:02}{minutes % 60:02}{second:02}"
    name, number = path.with_stem(f"{path.stem}-{stamp}"), 2
    while name in taken or (source.live and (name.exists() or part_of(name).exists())):
        name = path.with_stem(f"{path.stem}-{stamp}-{number}")
        number += 1
    return name


def sweep(
    paths: Collection[Path], keep: float | None, keep_size: int | None, taken: Collection[Path] = ()
) -> list[Path]:
    """Delete the oldest recordings of live sources, including leftover parts; returns the deleted paths.

    paths: without the times in their names; nothing else in their folders is touched. keep: seconds since they were
    finished. keep_size: total bytes; the newest recording is kept, however large it is.
    taken: recordings of this run, whose parts are kept: they are still being written.
    Files that another process has deleted, or that cannot be deleted, are skipped.
    """
    found = []
    for folder in {path.parent for path in paths}:
        found += _files(folder, "|".join(_pattern(path) for path in paths if path.parent == folder))
    entries, now, gone = [], time(), []
    for file in found:
        with suppress(OSError):
            about = file.stat()
            whole = _whole(file)
            if file == whole or (whole not in taken and now - about.st_mtime > BUSY):
                entries.append((about.st_mtime, about.st_size, file))
    entries.sort()
    total = sum(size for _, size, _ in entries)
    for modified, size, file in entries:
        too_old = keep is not None and now - modified > keep
        too_much = keep_size is not None and total > keep_size and file is not entries[-1][2]
        if too_old or too_much:
            with suppress(OSError):
                file.unlink(missing_ok=True)
                total -= size
                gone.append(file)
    return gone


def parts(path: Path) -> list[tuple[Path, Path]]:
    """The unfinished recordings of a live source: (part, what it is called when it is complete).

    path: as they would be called without a time.
    """
    found = _files(path.parent, _pattern(path))
    return [(file, whole) for file in sorted(found) if (whole := _whole(file)) != file]


def unstamped(path: Path) -> Path:
    """A path without the date in its name."""
    return path.with_stem(re.sub(STAMPED + "$", "", path.stem))


def _pattern(path: Path) -> str:
    """Matches the names of a live source's recordings, and those of their parts."""
    return re.escape(path.stem) + STAMPED + rf"(\.part)?{re.escape(path.suffix)}(\.part)?"


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return [file for file in folder.glob("*") if re.fullmatch(pattern, file.name)]
    except OSError as error:  # a share that is away for a moment must not end a recording
        log.warning("cannot look for old recordings in %s: %s", folder, error.strerror or error)
        return []


def _whole(file: Path) -> Path:
    """The final name of a part; see `files.part_of`."""
    file = file.with_name(file.name.removesuffix(".part"))
    return file.with_stem(file.stem.removesuffix(".part"))
