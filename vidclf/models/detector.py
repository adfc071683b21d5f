"""Finds and loads an ultralytics detector: quietly, without its habit of installing and downloading unasked."""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import cv2

from vidclf.errors import UsageError

# Names ultralytics publishes weights under: a family, a size (n, s, m, l, x) and, to get masks, -seg.
PUBLISHED = re.compile(r"(yolov8|yolov9|yolov10|yolo11|yolo12|yolo26)[a-z](-seg)?(\.pt)?")
PAGE = "https://docs.ultralytics.com/models/"


def load_detector(weights: str) -> Any:
    """An `ultralytics.YOLO` from a file, an exported model's folder, or a published name.

    A published name is looked for in the working folder and in the cache, then downloaded into the cache.
    A .pt file is a pickle: ultralytics is asked to load tensors and known classes only (weights_only).
    Raises UsageError when there is no such model, it cannot be downloaded, or it is none.
    """
    path = find_weights(weights)
    ultralytics = _import_quietly()
    if not path.exists():
        _download(path, ultralytics)
    try:
        model = ultralytics.YOLO(str(path), task=None if path.suffix == ".pt" else _task(path))
        names = model.names
    except Exception as error:  # whatever torch, OpenVINO or ONNX Runtime raise on a file that is no model
        raise UsageError(f"{weights} is not a detector that ultralytics can load: {_first_line(error)}") from None
    if model.task not in ("detect", "segment") or not names:
        raise UsageError(f"{weights} is a {model.task} model; detection needs one for detect or segment")
    return model


def find_weights(weights: str) -> Path:
    """Where the weights lie, or where a published name's would be downloaded to; UsageError for anything else."""
    path = Path(weights)
    if path.exists():
        return path
    if PUBLISHED.fullmatch(weights):
        name = f"{weights.removesuffix('.pt')}.pt"
        return Path(name) if Path(name).is_file() else cache_folder() / name
    examples = "such as yolo11n or yolo11s-seg"
    raise UsageError(f"no detector weights {weights!r}: no such file, and no name ultralytics publishes, {examples}")


def cache_folder() -> Path:
    """Where downloaded weights are kept."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "vidclf"


def _import_quietly() -> Any:
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")  # a missing package is ours to report, not its to install
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
    threads = cv2.getNumThreads()
    import ultralytics

    cv2.setNumThreads(threads)  # importing it takes OpenCV's threads away from every other stage
    ultralytics.utils.LOGGER.setLevel(logging.ERROR)
    ultralytics.utils.SETTINGS["sync"] = False  # no usage reports
    return ultralytics


def _download(path: Path, ultralytics: Any) -> None:
    advice = f"download {path.name} from {PAGE} on another machine and name the file (--detector-weights FILE)"
    if not ultralytics.utils.is_online():
        raise UsageError(f"{path.name} is not here, and there is no internet to download it: {advice}")
    try:
        ultralytics.utils.downloads.attempt_download_asset(path)
    except Exception as error:
        raise UsageError(f"{path.name} could not be downloaded ({_first_line(error)}): {advice}") from None
    if not path.is_file():
        raise UsageError(f"{path.name} could not be downloaded: {advice}")


def _task(path: Path) -> str | None:
    """What an exported model is for, by its own metadata; ultralytics would guess, and say so."""
    metadata = path / "metadata.yaml"
    if not metadata.is_file():
        return "segment" if "seg" in path.stem else "detect"
    import yaml

    return str(yaml.safe_load(metadata.read_text(encoding="utf-8")).get("task", "detect"))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0][:200]}"
