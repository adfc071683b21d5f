"""Measures parts: the classifier by batch size, and the time to the first frame."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from vidclf.bench.measure import by_turns, cost_of, ratio, spread, summary
from vidclf.bench.setting import Setting
from vidclf.errors import VidclfError

BATCHES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 0.5  # for each batch size in every round
PUBLISH_VARIABLE = "VIDCLF_PUBLISH"  # a broker for other runs: these frames must not be published


def classifier(
    weights: str, backend: str, device: str, batches: tuple[int, ...], repeat: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Crops per second by batch size, and the ratio to the predecessor's network, crop by crop."""
    from vidclf.models.predictor import Predictor

    model = Predictor(weights, backend, device)
    policy = model.preprocess
    random = np.random.default_rng(0)
    shape = (policy.size, policy.size, *((3,) if policy.channels == 3 else ()))
    crops = list(random.integers(0, 256, (max(batches), *shape), np.uint8))
    works = {str(batch): partial(_for_a_while, partial(model, crops[:batch]), batch) for batch in batches}
    reference = f"simple-cnn in eager torch on {model.device}, batch 1"
    works[reference] = partial(_for_a_while, _simple_cnn(model.device), 1)
    for work in works.values():
        work()  # warm up
    costs = by_turns({name: partial(cost_of, work) for name, work in works.items()}, repeat, tell)
    largest = str(max(batches))
    return {
        "classifier": Path(weights).name,
        "runs_on": model.name,
        "crops_per_second": {name: summary(each)["fps"] for name, each in costs.items()},
        "ratio": {f"batch {largest} to {reference}": ratio(costs[largest], costs[reference])},
    }


def _for_a_while(work: Callable[[], object], count: int) -> int:
    """Repeat a work of `count` crops; returns the total number of crops."""
    from vidclf.models.measure import times_of

    return count * len(times_of(work, SECONDS, least=1))


def _simple_cnn(device: str) -> Callable[[], object]:
    """A forward pass of one crop through SimpleCNN: eager torch, eval mode, no gradients, to the device and back."""
    import torch

    from vidclf.models import create

    network = create("simple-cnn").eval().to(device)
    crop = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)

    def work() -> object:
        with torch.no_grad():
            return network(crop.to(device)).cpu()

    return work


def _pipeline_file(setting: Setting) -> Path:
    """The setting's items as a pipeline file."""
    import yaml

    path = setting.folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump([{item.name: item.options} for item in setting.items]), encoding="utf-8")
    return path


def starts(setting: Setting, repeat: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Seconds until the command has ended: for --help, and for a run of one frame that writes its picture to disk."""
    program = [sys.executable, "-m", "vidclf"]
    run = [*program, "run", str(setting.clip), "--max-frames", "1", "--quiet", "--force"]
    run += ["-o", str(setting.folder / "first.mp4"), "-p", str(_pipeline_file(setting))]
    environment = {name: value for name, value in os.environ.items() if name != PUBLISH_VARIABLE}
    times: dict[str, list[float]] = {"vidclf --help": [], f"first frame of {setting.name}": []}
    for n in range(repeat + 1):
        for name, command in zip(times, ([*program, "--help"], run), strict=True):
            began = perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                raise VidclfError(f"{name} failed: {done.stderr.strip()}")
            if n:  # the first run fills the caches: files, compiled modules, converted networks
                times[name].append(perf_counter() - began)
                tell(f"{name}: {times[name][-1]:.2f} s")
    return {name: spread(each) for name, each in times.items()}
