"""The files of a run; and the checks, before anything is done, that it replaces no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError
from vidclf.files import PartFile, check_folder, hash_file
from vidclf.models import checkpoint
from vidclf.training.config import Config


class RunFiles:
    """The files of a run in its folder, whether they exist or not."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.json"  # settings, and hashes of the inputs
        self.metrics = folder / "metrics.jsonl"  # a row per epoch
        self.best = folder / "best.safetensors"  # the weights of the best epoch, or of the last with `keep`
        self.last = folder / "last.safetensors"  # the state after the last epoch
        self.report = folder / "report.html"
        self.tensorboard = folder / "tensorboard"

    @property
    def all(self) -> list[Path]:
        """What a run replaces or removes, with the existing files for TensorBoard."""
        events = sorted(self.tensorboard.glob("*/events.out.tfevents.*"))
        return [self.config, self.metrics, self.best, self.last, self.report, *events]


def read_config(folder: Path) -> dict[str, Any] | None:
    """The config of the run in a folder: its "settings" and hashes; None if there is no run."""
    try:
        asked = json.loads(RunFiles(folder).config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not (isinstance(asked, dict) and isinstance(asked.get("settings"), dict) and "data" in asked):
        return None
    return asked | {"settings": _completed(asked["settings"])}


def check_unused(folder: Path) -> None:
    """Raise UsageError if a new run would replace the epochs of another run, or files that are not a run's."""
    files = RunFiles(folder)
    if read_config(folder) is not None:
        if files.last.exists():
            raise UsageError(
                f"{folder} already contains a run: continue it with --resume, start again with --force, "
                "or choose another folder with --run FOLDER"
            )
    elif there := [str(path.relative_to(folder)) for path in files.all if path.exists()]:
        raise UsageError(
            f"{folder} is not the folder of a run, and a run would overwrite its {', '.join(there)}: choose another "
            "with --run FOLDER, or overwrite with --force"
        )


def check_output(output: Path, folder: Path, resume: bool = False, force: bool = False) -> bool:
    """Whether the weights may replace a file; UsageError if they would replace one that they must not.

    That is a file or folder that the run needs, and any other file that is there, unless force is set, or resume and
    the run in `folder` wrote the file before or was started to replace it.
    """
    files = RunFiles(folder)
    names = [path.name for path in files.all]
    if output.name.lower() in names and output.resolve().parent == folder.resolve():
        raise UsageError(f"{output} is a file of the run itself: choose another name for the weights")
    place, tensorboard = output.resolve(), files.tensorboard.resolve()
    if tensorboard.is_relative_to(place) or place.is_relative_to(tensorboard):
        raise UsageError(f"{output} is a place for the run's own files: choose another name for the weights")
    exists = output.exists()
    if exists and not force and not (resume and _is_meant(output, read_config(folder) or {})):
        ways = ", and this run did not write it: choose another with -o" if resume else ": overwrite it with --force"
        raise UsageError(f"{output} already exists{ways}")
    return force or exists


def check_target(path: Path) -> None:
    """Fail now rather than after the training; nothing is made yet, because it might be taken for a class folder."""
    if path.exists():
        PartFile(path, force=True)
        return
    there = next((place for place in path.absolute().parents if place.exists()), None)
    if there is None:  # a drive of Windows that is not there
        raise UsageError(f"cannot write {path}: {path.absolute().anchor} does not exist")
    if not there.is_dir():
        raise UsageError(f"cannot write {path}: {there} is not a folder")
    check_folder(there)


def _is_meant(output: Path, asked: Mapping[str, Any]) -> bool:
    if "replaces" in asked and asked["replaces"] == hash_file(output):
        return True
    try:
        header = checkpoint.read_header(output)
    except UsageError:
        return False
    return (_completed(header.get("config", {})), header.get("data")) == (asked.get("settings"), asked.get("data"))


def _completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run, those of an earlier version with the defaults of what it did not have."""
    return Config(optimizer="sgd").to_dict() | dict(settings)  # which was the only one at first
