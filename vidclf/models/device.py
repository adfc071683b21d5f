"""Where a network runs: the torch device that the user has chosen, its number of CPU threads, and its precision."""

from __future__ import annotations

import ctypes
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError
from vidclf.threads import Part, cores, threads

log = logging.getLogger(__name__)


def check_device(device: str, several: bool = False) -> str:
    """Return `device` if it is auto, cpu, cuda or cuda:N, with `several` also cuda:0,1; does not import torch.

    Raises UsageError otherwise.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+" + (r"(,\d+)*" if several else "") + ")?", device):
        raise UsageError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    return device


def choose_device(device: str = "auto") -> str:
    """The torch device, where auto is the first GPU or else the CPU; raises UsageError if it does not exist."""
    return choose_devices(check_device(device))[0]


def choose_devices(device: str) -> list[str]:
    """The torch devices, one each: cuda:0,1 are two; UsageError for one that does not exist or cannot be used."""
    if check_device(device, several=True) == "cpu" or (device == "auto" and not _has_driver()):
        return ["cpu"]
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto" and not count:
        return ["cpu"]
    numbers = device.partition(":")[2]
    chosen = [int(number) for number in (numbers or "0").split(",")]
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"device {device} names a GPU twice")
    if any(number >= count for number in chosen):
        raise UsageError(f"device {device} does not exist: {count} CUDA device(s) found")
    if fault := next(filter(None, map(lack_of_kernels, chosen)), ""):
        if device == "auto":
            _warn_once(f"the networks run on the CPU: {fault}")
            return ["cpu"]
        raise UsageError(f"device {device} cannot be used: {fault}")
    return [f"cuda:{number}" for number in chosen] if numbers else ["cuda"]


def lack_of_kernels(number: int) -> str:
    """Why this torch cannot compute on that GPU, although it lists it; empty if it can.

    Each release is compiled for some GPUs only: torch 2.15 for CUDA 13 from Turing on, without Pascal and Volta.
    Code for one (sm_86) also runs on later ones of the same major version, and intermediate code (compute_90) on all
    later ones.
    """
    import torch

    compiled = re.findall(r"\b(sm|compute)_(\d+)(\d)", " ".join(torch.cuda.get_arch_list()))
    if torch.version.cuda is None or not compiled:  # for AMD, the list has other names
        return ""
    has = torch.cuda.get_device_capability(number)
    for kind, *digits in compiled:
        major, minor = map(int, digits)
        if (major, minor) <= has and (kind == "compute" or major == has[0]):
            return ""
    able, name = ", ".join(f"{major}.{minor}" for _, major, minor in compiled), torch.cuda.get_device_name(number)
    version = torch.__version__
    return f"torch {version} is not made for {name} (compute capability {has[0]}.{has[1]}; it is for {able})"


@cache
def _warn_once(text: str) -> None:
    log.warning(text)


def count_gpus() -> int:
    """How many GPUs torch may use here; imports torch only where there is a driver."""
    if not _has_driver():
        return 0
    import torch

    return torch.cuda.device_count()


def is_gpu_fault(error: BaseException) -> bool:
    """Whether an error of torch is about the GPU, such as its memory, rather than about the network or its file."""
    if type(error).__name__ in ("OutOfMemoryError", "AcceleratorError"):  # torch's, which need not be imported
        return True
    return isinstance(error, RuntimeError) and bool(re.search(r"CUDA (\w+ )?error|cuDNN|CUBLAS", str(error), re.I))


@contextmanager
def torch_threads(part: Part, share: float = 1.0) -> Iterator[None]:
    """In this block, torch work of this thread uses this share of the threads for this part of a run.

    Every thread that runs a network has to set a number: otherwise torch uses the number that another thread happened
    to set last.
    """
    import torch

    torch.get_num_threads()  # a thread's first call uses the number set last, even if it has its own
    torch.set_num_threads(max(1, int(threads(part) * share)))
    try:
        yield
    finally:
        torch.set_num_threads(cores())


def on_stream(stream: Any) -> AbstractContextManager[Any]:
    """In this block, torch works on this `torch.cuda.Stream`; None changes nothing, without a start of CUDA."""
    import torch

    return nullcontext() if stream is None else torch.cuda.stream(stream)  # that starts CUDA for None, too


def _has_driver() -> bool:
    """Whether this machine may have a GPU for torch; asks the system, because importing torch takes a second."""
    if "torch" in sys.modules or Path("/dev/kfd").exists():  # the latter is AMD, which torch also calls cuda
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return True
    except OSError:
        return False


def mixed_precision(device: str) -> AbstractContextManager[Any]:
    """bfloat16 convolutions if the hardware is faster with them; otherwise everything stays float32."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        with torch.cuda.device(device):
            able = torch.cuda.is_bf16_supported(including_emulation=False)  # GPUs before Ampere emulate it, slowly
    else:
        able = kind == "cpu" and is_bf16_faster()
    return torch.autocast(kind, torch.bfloat16, enabled=able)


@cache
def is_bf16_faster(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU computes faster with bfloat16 than in 32 bits; False on systems other than Linux.

    One with AMX does: an Emerald Rapids Xeon with two cores takes 18 instead of 35 ms for a picture (YOLO11n, 640x480),
    and 46 instead of 74 seconds for an epoch of `lean`. So does AMD's with AVX-512 BF16: a Zen 4 takes 19 instead of 30
    ms. Intel's without AMX (virtual machines often hide it) take longer: 38 instead of 27 ms, 56 instead of 43 seconds.
    """
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return False
    return "amx_bf16" in first or ("avx512_bf16" in first and "AuthenticAMD" in first)
