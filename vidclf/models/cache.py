"""Cached files: converted networks, downloaded weights."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from vidclf.files import hash_file, rename


def cache_folder() -> Path:
    """The folder of the cache: VIDCLF_CACHE, or the platform's default place for caches."""
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
    """The folder that `make` makes from a file; made now if it does not exist yet.

    kind: the tool and its version, such as "openvino-2026.4.1". The content of `source` is part of the key.
    make: fills an empty folder. The folder gets its name when it is complete, in one step: if two processes make the
    same one at once, the first wins, and both use its folder. Raises OSError if the cache cannot be written.
    """
    final = cache_folder() / "models" / f"{source.stem}-{hash_file(source)[:16]}-{kind}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    made = final.parent / f".making-{uuid4().hex}"
    made.mkdir()  # not mkdtemp, whose folders are for one user only: a cache may be shared
    try:
        make(made)
        try:
            rename(made, final)
        except OSError:
            if not final.is_dir():  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return final


def forget(folder: Path) -> None:
    """Remove a damaged folder, so that it is made again."""
    shutil.rmtree(folder, ignore_errors=True)
