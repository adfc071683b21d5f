"""What a run may write where: its folder and its weights, checked before anything is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError
from vidclf.files import PartFile, check_folder
from vidclf.models import checkpoint

FILES = ("config.json", "metrics.jsonl", "best.safetensors", "last.safetensors", "report.html")


def read_config(folder: Path) -> dict[str, Any] | None:
    """What the run in a folder was asked for, its "settings" and what it has hashes of; None where there is no run."""
    try:
        asked = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return asked if isinstance(asked, dict) and isinstance(asked.get("settings"), dict) and "data" in asked else None


def check_unused(folder: Path) -> None:
    """Raise UsageError where a new run would replace the epochs of another one, or files that are no run's."""
    if read_config(folder) is not None:
        if (folder / "last.safetensors").exists():
            raise UsageError(
                f"{folder} holds a run already: --resume continues it, --force starts it afresh; "
                "--run FOLDER begins another"
            )
    elif there := [name for name in FILES if (folder / name).exists()]:
        raise UsageError(
            f"{folder} is no run's, and a run would replace {', '.join(there)} in it: --run FOLDER names another, "
            "--force replaces them"
        )


def check_output(output: Path, folder: Path, resume: bool = False, force: bool = False) -> None:
    """Raise UsageError where the weights would replace a file that the run needs, or one that is not to be replaced.

    force: any other may be; resume: what the run in `folder` wrote before may be.
    """
    if output.name.lower() in FILES and output.resolve().parent == folder.resolve():
        raise UsageError(f"{output} is a file that the run keeps for itself: give the weights another name")
    if output.exists() and not force and not (resume and _is_own(output, read_config(folder) or {})):
        why = ", and this run did not write it" if resume else ""
        raise UsageError(f"{output} exists already{why}: --force replaces it")


def check_target(path: Path) -> None:
    """Complain now rather than after the training; nothing is made yet, as it might be taken for pictures' folders."""
    if path.exists():
        PartFile(path, force=True)
        return
    there = next(place for place in path.absolute().parents if place.exists())
    if not there.is_dir():
        raise UsageError(f"cannot write {path}: {there} is not a folder")
    check_folder(there)


def _is_own(output: Path, asked: Mapping[str, Any]) -> bool:
    try:
        header = checkpoint.read_header(output)
    except UsageError:
        return False
    return (header.get("config"), header.get("data")) == (asked.get("settings"), asked.get("data"))
