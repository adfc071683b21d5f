"""`vidclf doctor`: shows what vidclf finds on this machine, and how to fix what is missing or does not match."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import click

import vidclf
from vidclf.errors import VidclfError
from vidclf.files import check_folder
from vidclf.resources import Kind, shipped


class Problem(VidclfError):
    """A problem that needs fixing; the message says how."""


@click.command()
def doctor() -> int:
    """Show what vidclf finds on this machine: versions, GPU, encoders, programs; exit code 1 if something is wrong.

    \b
    Example:
      vidclf doctor
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("what", "found")
    problems = []
    for name, check in CHECKS.items():
        try:
            found = escape(check())
        except Exception as error:  # whatever is broken here is what the user wants to know
            found = "[red]problem[/red]"
            advice = "" if isinstance(error, Problem) else f" ({type(error).__name__}){_advice(error)}"
            problems.append(f"{name}: {error}{advice}")
        table.add_row(name, found)
    console = Console()
    console.print(table)
    for problem in problems:
        console.print(f"- {problem}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(problems)} problem(s) found" if problems else "everything works", highlight=False)
    return 1 if problems else 0


def _advice(error: Exception) -> str:
    if "libGL" in str(error) or "libgthread" in str(error):
        return ": OpenCV needs system libraries; on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
    if isinstance(error, ImportError):
        return ": reinstall vidclf, in its checkout: pip install --force-reinstall --no-deps ."
    return ""


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _vidclf() -> str:
    kinds: tuple[Kind, ...] = ("weights", "pipelines", "samples")
    if missing := [kind for kind in kinds if not any(shipped(kind).glob("*.*"))]:
        raise Problem(f"the package is missing its {', '.join(missing)}; reinstall it")
    return f"{vidclf.__version__} in {Path(vidclf.__file__).parent}"


def _torch() -> str:
    import torch

    try:
        import torchvision

        # With a torch of another release than it was built for, torchvision lacks its own operators.
        kept = torchvision.ops.nms(torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2]]), torch.tensor([0.9, 0.8]), 0.5)
        assert kept.tolist() == [0]
    except (RuntimeError, AttributeError) as error:
        found = f"torch {torch.__version__} and torchvision {metadata.version('torchvision')} do not match"
        wanted = " ".join(f'"{_requirement(name)}"' for name in ("torch", "torchvision"))
        raise Problem(f"{found} ({error}); pip install --force-reinstall {wanted}") from None
    return f"{torch.__version__}, with torchvision {torchvision.__version__}"


def _requirement(name: str) -> str:
    """The requirement that vidclf has on a package, in pip's syntax."""
    wanted = (re.match(rf"{name}\b[^;]*", line) for line in metadata.requires("vidclf") or ())
    return next((match[0].strip() for match in wanted if match), name)


def _cuda() -> str:
    import torch

    from vidclf.models.device import lack_of_kernels

    count = torch.cuda.device_count()
    if fault := next(filter(None, map(lack_of_kernels, range(count))), ""):
        raise Problem(f"{fault}; install a build of torch that is, see https://pytorch.org, or add --device cpu")
    names = [torch.cuda.get_device_name(n) for n in range(count)]
    return ", ".join(names) or "no device; networks run on the CPU"


def _opencv() -> str:
    import cv2

    return str(cv2.__version__)


def _pyav() -> str:
    import av

    return f"{av.__version__}, with FFmpeg {av.ffmpeg_version_info}"


def _hardware_encoders() -> str:
    import av.logging

    from vidclf.video.codecs import ENCODERS, HARDWARE, opens

    av.logging.set_level(None)  # encoders that do not open log many lines
    names = [name for names in ENCODERS.values() for name in names if name.endswith(HARDWARE)]
    return ", ".join(filter(opens, names)) or "none works; videos are encoded on the CPU"


def _ffmpeg() -> str:
    program = shutil.which("ffmpeg")
    if program is None:
        return "not on the PATH; only `write: {backend: skvideo}` needs it"
    said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False).stdout
    return f"{' '.join(said.split()[2:3])} at {program}"


def _installed(package: str, use: str, optional: bool = False) -> Callable[[], str]:
    """A check that only looks up the version: importing some packages takes seconds, or has side effects."""

    def check() -> str:
        try:
            return f"{metadata.version(package)} ({use})"
        except metadata.PackageNotFoundError:
            if optional:
                return f"not installed ({use})"
            raise Problem(f'not installed; pip install "{_requirement(package)}"') from None

    return check


def _cpu() -> str:
    from vidclf import threads
    from vidclf.models.device import is_bf16_faster

    bits = "bfloat16" if is_bf16_faster() else "32 bits"
    return f"{os.cpu_count()} cores, networks in {bits}; at most {threads.describe()}"


def _cache() -> str:
    from vidclf.models.cache import cache_folder

    folder = cache_folder()
    try:
        check_folder(folder)
    except VidclfError as error:
        raise Problem(f"{error}; set VIDCLF_CACHE to use another folder") from None
    return f"{folder} (converted networks, downloads)"


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    return f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "vidclf": _vidclf,
    "torch": _torch,
    "CUDA": _cuda,
    "OpenCV": _opencv,
    "PyAV": _pyav,
    "hardware encoders": _hardware_encoders,
    "ffmpeg program": _ffmpeg,
    "supervision": _installed("supervision", "track"),
    "ultralytics": _installed("ultralytics", "yolo", optional=True),  # its licence may be a reason to remove it
    "pyarrow": _installed("pyarrow", "record to .parquet"),
    "scikit-video": _installed("scikit-video", "one of write's backends"),
    "trackers": _installed("trackers", "track"),
    "openvino": _installed("openvino", "networks on the CPU", optional=True),
    "onnxruntime": _installed("onnxruntime", "backend onnx; extra: vidclf[onnx]", optional=True),
    "paho-mqtt": _installed("paho-mqtt", "publish to MQTT; extra: vidclf[mqtt]", optional=True),
    "redis": _installed("redis", "publish to Redis; extra: vidclf[redis]", optional=True),
    "starlette": _installed("starlette", "run --serve; extra: vidclf[web]", optional=True),
    "ray": _installed("ray", "batch on a cluster; extra: vidclf[ray]", optional=True),
    "tensorboard": _installed("tensorboard", "training curves; extra: vidclf[tensorboard]", optional=True),
    "CPU": _cpu,
    "memory": _memory,
    "cache": _cache,
}
