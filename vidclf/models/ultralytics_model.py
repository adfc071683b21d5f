"""Finds and loads an ultralytics detector: quietly, and without its unrequested installs and downloads."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import getproxies

import cv2
import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.files import rename
from vidclf.lock import locked
from vidclf.models.cache import cache_folder
from vidclf.models.class_names import PUBLISHED
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.device import is_gpu_fault

PAGE = "https://docs.ultralytics.com/models/"
TASKS = ("detect", "segment")  # of the models that find objects
# Read by ultralytics once, on import.
QUIET = {
    "YOLO_VERBOSE": "false",
    "YOLO_AUTOINSTALL": "false",  # report a missing package instead of installing it
    "YOLO_OFFLINE": "true",  # no usage reports, and no name look-ups, which may be slow without internet
    "ULTRALYTICS_SAFE_LOAD": "true",  # a .pt file is a pickle: load only known classes, run no code from it
}


def load_detector(weights: str, device: str = "cpu", task: str | None = None) -> Any:
    """An `ultralytics.YOLO` from a file, an exported model's folder, or a published name, ready for that device.

    A published name is looked for in the working folder and in the cache, then downloaded into the cache.
    A .pt file is a pickle, which may run code while loading. ultralytics (from 8.4) is told to refuse that, so a
    checkpoint with its own classes is refused, too, unless ULTRALYTICS_SAFE_LOAD=false marks it as trusted.
    task: of an exported model, detect or segment, if it is known.
    Raises UsageError if there is no such model, it cannot be downloaded, or the file is not a model; and VidclfError
    if the GPU fails, for example for lack of memory.
    """
    path = fetch_weights(weights)
    ultralytics = _import_quietly()
    try:
        with undisturbed():
            model = ultralytics.YOLO(str(path), task=None if path.suffix == ".pt" else task or _task(path))
            names = model.names
            if model.task in TASKS:
                # The first prediction builds the network: do it now, not during the run.
                model.predict(np.zeros((32, 32, 3), np.uint8), device=device, verbose=False)
    except Exception as error:  # errors of torch, OpenVINO or ONNX Runtime for a file that is not a model
        if is_gpu_fault(error):
            raise VidclfError(f"{weights} cannot run on {device}: {_reason(error)}") from error
        raise UsageError(f"{weights} is not a detector that ultralytics can load: {_reason(error)}") from None
    if model.task not in TASKS or not names:
        raise UsageError(f"{weights} is a {model.task} model; a detect or segment model is needed")
    if (channels := getattr(model.predictor.model, "channels", 3)) != 3:
        raise UsageError(f"{weights} takes pictures of {channels} channel(s); a model for colour pictures is needed")
    return model


def spec_of(model: Any) -> DetectorSpec:
    """What is known of a loaded `ultralytics.YOLO`."""
    network, stretches = model.predictor.model, bool(getattr(model.predictor, "scale_fill", False))
    nms_free = bool(getattr(network, "end2end", False)) or stretches
    names = {int(number): str(name) for number, name in model.names.items()}
    return DetectorSpec(names, int(network.stride), nms_free, stretches, model.task == "segment")


def keep_boxes_exact(network: Any) -> bool:
    """Make the head that computes the boxes use 32 bits, even inside `torch.autocast`.

    In bfloat16 alone, boxes of YOLO11n on PETS09 are 0.83 pixels off on average; with this, 0.05.
    Returns False, and does nothing, if there is no such head.
    """
    import torch
    from ultralytics.nn.modules import Detect

    def exactly(forward: Any, features: Any, *more: Any) -> Any:
        with torch.autocast(features[0].device.type, enabled=False):
            return forward([feature.float() for feature in features], *more)

    heads = [module for module in network.modules() if isinstance(module, Detect)]
    for head in heads:
        head.forward = partial(exactly, head.forward)
    return bool(heads)


def export(model: Any, kind: str, path: Path, **options: Any) -> None:
    """Let ultralytics export an `ultralytics.YOLO` as "onnx" or "engine" (TensorRT), to a path with that suffix.

    options: more of ultralytics' own.
    """
    import shutil

    source = path.with_suffix(".pt")
    shutil.copyfile(model.ckpt_path, source)  # it writes beside the file it reads
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's old exporter, which it uses, is deprecated
        type(model)(str(source)).export(format=kind, verbose=False, **options)
    source.unlink()
    if not path.is_file():
        raise RuntimeError(f"ultralytics did not export a {path.name}")


def find_weights(weights: str) -> Path:
    """The path of the weights, or the download path of a published name; raises UsageError for anything else."""
    path = Path(weights)
    if path.exists():
        return path
    if PUBLISHED.fullmatch(weights):
        name = f"{weights.removesuffix('.pt')}.pt"
        return Path(name) if Path(name).is_file() else cache_folder() / name
    examples = "such as yolo11n or yolo11s-seg"
    raise UsageError(
        f"no detector weights {weights!r}: no such file, and not a known name of ultralytics' models, {examples}"
    )


def fetch_weights(weights: str) -> Path:
    """The path of the weights, after the download of a published name into the cache.

    Raises UsageError like `find_weights`, and if they cannot be downloaded.
    """
    path = find_weights(weights)
    if not path.exists():
        _download(path, _import_quietly())
    return path


def _import_quietly() -> Any:
    if "ultralytics" not in sys.modules:
        import torch  # noqa: F401 - before ultralytics, which would start it with one thread

        with undisturbed():
            os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
            try:
                import ultralytics
            except ModuleNotFoundError as error:
                raise UsageError(f"the stage yolo needs ultralytics (pip install ultralytics): {error}") from None
            ultralytics.utils.LOGGER.setLevel(logging.ERROR)
    import ultralytics

    _wait_for_boxes()
    return ultralytics


def _wait_for_boxes() -> None:
    """Make ultralytics select the boxes of a whole batch, however long it takes.

    By default it stops after about two seconds and leaves the rest of the batch without boxes, with only a warning: on
    a busy machine, frames lost all their people.
    """
    from ultralytics.utils import nms

    if not isinstance(nms.non_max_suppression, partial):
        nms.non_max_suppression = partial(nms.non_max_suppression, max_time_img=3600.0)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore what ultralytics changes for the whole process: threads, environment variables, number formatting.

    On Windows also OpenCV's functions that take names: a window whose title is not ASCII would be another one.
    """
    import torch

    environment, printing = dict(os.environ), np.get_printoptions()
    threads = cv2.getNumThreads(), torch.get_num_threads()
    named = {name: getattr(cv2, name) for name in ("imshow", "imread", "imwrite")}
    try:
        yield
    finally:
        for name, function in named.items():
            setattr(cv2, name, function)
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])
        np.set_printoptions(**printing)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _download(path: Path, ultralytics: Any) -> None:
    """Download into a temporary folder first: `path` is complete or missing, and only one process downloads it."""
    advice = f"download {path.name} from {PAGE} on another machine and name the file (--detector-weights FILE)"
    # It asks name servers, which a machine behind a proxy may not reach. NO_PROXY alone is none.
    if not (ultralytics.utils.is_online() or getproxies().keys() & {"http", "https", "all"}):
        raise UsageError(f"{path.name} was not found locally, and there is no internet connection: {advice}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path), TemporaryDirectory(dir=path.parent, prefix=".downloading-") as folder:
            if not path.is_file():
                part = Path(folder) / path.name
                ultralytics.utils.downloads.attempt_download_asset(part)
                if not part.is_file():
                    raise FileNotFoundError("ultralytics does not publish this file")
                rename(part, path)
    except Exception as error:
        raise UsageError(f"{path.name} could not be downloaded ({_reason(error)}): {advice}") from None


def _task(path: Path) -> str:
    """The task of an exported model, from its metadata, or else its name; ultralytics may guess, with a warning."""
    metadata = path / "metadata.yaml"
    if metadata.is_file():
        import yaml

        return str(yaml.safe_load(metadata.read_text(encoding="utf-8")).get("task", "detect"))
    try:
        from ultralytics.nn.backends import BaseBackend

        known = BaseBackend.read_metadata(path)
    except (ImportError, AttributeError):  # an older ultralytics
        known = {}
    return str(known.get("task") or ("segment" if "seg" in path.stem else "detect"))


def _reason(error: Exception) -> str:
    """The error in one line of limited length, without ultralytics' prefix."""
    text = re.sub(r"^ERROR\W+", "", " ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"
