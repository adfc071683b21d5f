"""What tests of batches look at: clips in a folder, a batch as a process of its own, and what it left."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path


def add(clip: Path, *names: str) -> None:
    """Copy a clip to these names below `clips`."""
    for name in names:
        path = Path("clips", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, path)


def start(*arguments: str, pipeline: str = "slow.yaml") -> subprocess.Popen[str]:
    """`vidclf batch` as the leader of a process group of its own."""
    command = [sys.executable, "-m", "vidclf", "batch", "clips", "-o", "out", "-p", pipeline, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=os.name == "posix")


def rows(columns: str, out: str = "out") -> dict[str, tuple[object, ...]]:
    """Columns of the manifest, by clip."""
    try:
        with closing(sqlite3.connect(f"file:{out}/manifest.sqlite?mode=ro", uri=True)) as database:
            return {row[0]: row[1:] for row in database.execute(f"SELECT path, {columns} FROM clips ORDER BY path")}
    except sqlite3.OperationalError:  # not made yet
        return {}


def files(out: str = "out") -> set[str]:
    """What lies in the folder of results, but for the manifest's own files."""
    found = {path.relative_to(out).as_posix() for path in Path(out).rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("manifest.")}
