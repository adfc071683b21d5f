"""Detectors converted for another runtime: once, into the cache, with all that is needed to do without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vidclf.files import hash_file
from vidclf.models.cache import cached, forget
from vidclf.models.detector_spec import DetectorSpec
from vidclf.models.networks import TorchNetwork
from vidclf.models.parity import pattern
from vidclf.models.ultralytics_model import load_detector, spec_of

LAYOUT = 13  # version of the detectors in the cache; another number makes them again


class Converted(NamedTuple):
    """A network in the cache, and what is known of it."""

    folder: Path
    spec: DetectorSpec
    answers: np.ndarray  # torch's first output for `pattern`, in 32 bits


def converted(weights: Path, runtime: str, write: Callable[[Any, Path], None]) -> Converted:
    """A .pt file's network for another runtime, from the cache; one that was damaged there is removed.

    runtime: its name and version. write: converts an `ultralytics.YOLO` into an empty folder.
    Raises UsageError if the file is not a model, RuntimeError if it was damaged, and any error of `write`.
    """
    folder = cached(weights, f"{runtime}-{LAYOUT}", lambda folder: _convert(weights, folder, write))
    try:
        return _read(folder)
    except Exception:
        forget(folder)  # the next run makes it again
        raise


def _convert(weights: Path, folder: Path, write: Callable[[Any, Path], None]) -> None:
    model = load_detector(str(weights))
    write(model, folder)
    spec = spec_of(model)
    np.save(folder / "answers.npy", TorchNetwork(model, "cpu", "f32").start(pattern(spec.stride)[None])()[0])
    hashes = {file.name: hash_file(file) for file in folder.iterdir()}
    (folder / "spec.json").write_text(json.dumps({"spec": asdict(spec), "sha256": hashes}))


def _read(folder: Path) -> Converted:
    known = json.loads((folder / "spec.json").read_text())
    for name, wanted in known["sha256"].items():
        if hash_file(folder / name) != wanted:
            raise RuntimeError(f"its {name} in the cache was damaged")
    spec = known["spec"]
    names = {int(number): name for number, name in spec.pop("names").items()}
    answers = np.load(folder / "answers.npy", allow_pickle=False)
    return Converted(folder, DetectorSpec(names, **spec), answers)
