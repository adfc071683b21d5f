"""What was made from a file once and is used again: converted networks, downloaded weights."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from vidclf.files import hash_file


def cache_folder() -> Path:
    """Where such files are kept: VIDCLF_CACHE, or the platform's own place for caches."""
    if chosen := os.environ.get("VIDCLF_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "vidclf"


def cached(source: Path, kind: str, make: Callable[[Path], None]) -> Path:
    """The folder of what `make` makes of a file; made now if it is not there yet.

    kind: what is made, by what and in which version: "openvino-2026.4.1". The content of `source` is part of the key.
    make: fills an empty folder. That folder gets its name when it is complete, in one step: of two processes that
    make the same at once, one is first, and both use its folder. Raises OSError where the cache cannot be written.
    """
    final = cache_folder() / "models" / f"{source.stem}-{hash_file(source)[:16]}-{kind}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    made = final.parent / f".making-{uuid4().hex}"
    made.mkdir()  # not mkdtemp, whose folders are for one user alone: a cache may be shared
    try:
        make(made)
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return final


def forget(folder: Path) -> None:
    """Remove what turned out to be damaged, so that it is made again."""
    shutil.rmtree(folder, ignore_errors=True)
