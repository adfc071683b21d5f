"""Runs one contender in a separate process, to measure its memory, and its speed on fewer cores.

`measure_alone` starts `python -m vidclf.bench.alone JSON`, which prints JSON to stdout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidclf.bench.apart import SERIAL, loops_of
from vidclf.bench.measure import Cost, cost_of
from vidclf.bench.setting import Setting
from vidclf.errors import VidclfError
from vidclf.memory import keep_warm, peak_rss
from vidclf.recipe import Item
from vidclf.threads import VARIABLE


def measure_alone(setting: Setting, contender: str, cores: int | None = None) -> dict[str, float]:
    """Run a contender ("vidclf" or "serial loop") twice in a fresh process, the first time to warm up.

    cores: number of cores it may use (on Linux; on other systems, number of threads).
    Returns fps, cpu_ms per frame and peak_rss_mb. Raises VidclfError with its last line of output if it fails.
    """
    task = {"setting": asdict(setting), "contender": contender, "cores": cores}
    environment = os.environ | ({VARIABLE: str(cores), "OMP_NUM_THREADS": str(cores)} if cores else {})
    command = [sys.executable, "-m", "vidclf.bench.alone", json.dumps(task, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VidclfError(f"{contender} failed in its own process: {last}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(task: dict[str, Any]) -> dict[str, float]:
    if task["cores"] and sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["cores"]])
    told = task["setting"]
    items = [Item(**item) for item in told["items"]]
    setting = Setting(**told | {"clip": Path(told["clip"]), "folder": Path(told["folder"]), "items": items})
    contender = _ours if task["contender"] == "vidclf" else _loop
    cost = contender(setting)
    return {
        "fps": cost.speed,
        "cpu_ms": 1000 * cost.cpu / max(1, cost.count),
        "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }


def _ours(setting: Setting) -> Cost:
    keep_warm()  # as `vidclf run` does
    from vidclf.bench.ours import Ours

    ours = Ours(setting)
    ours.run()
    return cost_of(lambda: len(ours.run()[0]))


def _loop(setting: Setting) -> Cost:
    loop = loops_of(setting, others=False)[SERIAL]
    loop()
    return cost_of(lambda: len(loop()))


if __name__ == "__main__":
    print(json.dumps(_run(json.loads(sys.argv[1]))))
