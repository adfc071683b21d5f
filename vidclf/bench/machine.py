"""Describes the machine of a measurement, so that readers can compare it with their own."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from vidclf.threads import granted

LIBRARIES = ("vidclf", "numpy", "opencv-python", "av", "torch", "ultralytics", "openvino", "supervision", "inference")


def describe() -> dict[str, Any]:
    """The machine in plain values: processor, cores, memory, GPU, system, libraries, and how busy it was."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _processor(),
        "cores": granted(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "load": None if load is None else round(load, 2),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name; in a virtual machine it may say little, so on Linux also its generation and 16-bit floats."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    if "model name" not in known:
        return platform.processor() or platform.machine()
    details = [f"{key.removeprefix('cpu ')} {known[key]}" for key in ("cpu family", "model") if key in known]
    details += [flag for flag in ("avx512_bf16", "avx512_fp16", "amx_bf16") if flag in known.get("flags", "").split()]
    return f"{known['model name']} ({', '.join(details)})" if details else known["model name"]


def _gpu() -> str:
    """The GPUs' names from the driver, in one line, such as "2 x NVIDIA L4"; empty without any."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        lines = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    counts = Counter(filter(None, map(str.strip, lines)))
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
