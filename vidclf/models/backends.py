"""The available runtimes, which one suits a file and a machine, and which float precision to use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from vidclf.errors import UsageError
from vidclf.limits import check_choice

Backend = Literal["auto", "torch", "openvino", "onnx", "tensorrt"]
Precision = Literal["auto", "f32", "f16", "bf16"]


class Runtime(NamedTuple):
    """What is known of a runtime before it is imported."""

    package: str  # that it needs
    install: str  # what pip has to install for it
    suffixes: tuple[str, ...]  # of the classifier files that it can run
    only_on: Literal["cpu", "cuda"] | None = None


BACKENDS = {
    "torch": Runtime("torch", "torch", (".safetensors", ".pt", ".torchscript")),
    "openvino": Runtime("openvino", "openvino", (".safetensors", ".xml", ".onnx"), only_on="cpu"),
    "onnx": Runtime("onnxruntime", '"vidclf[onnx]"', (".safetensors", ".onnx")),
    "tensorrt": Runtime(
        "tensorrt",
        '"tensorrt<11" onnx onnxscript onnxruntime-gpu',  # from 11 on, 16 bits need nvidia-modelopt, too
        (".safetensors", ".onnx"),
        only_on="cuda",
    ),
}


def check_backend(backend: str, weights: Path | None = None) -> str:
    """Return `backend` if it is installed and can run that classifier's file.

    Raises UsageError with the choices, or with what to install; imports nothing.
    """
    check_choice("backend", backend, get_args(Backend))
    able = _able(weights) if weights else list(BACKENDS)
    if backend == "auto":
        if not any(map(is_installed, able)):
            raise UsageError(f"{weights} needs {' or '.join(able)}: pip install {BACKENDS[able[0]].install}")
        return backend
    if not is_installed(backend):
        runtime = BACKENDS[backend]
        needs = f"needs {runtime.package}, which is not installed: pip install {runtime.install}"
        raise UsageError(f"backend {backend} {needs}")
    if backend not in able:
        raise UsageError(f"{weights} cannot run on {backend}; it runs on {', '.join(able)}")
    return backend


def check_precision(precision: str) -> str:
    """Return `precision` if it is valid; raises UsageError otherwise."""
    check_choice("precision", precision, get_args(Precision))
    return precision


def is_installed(backend: str) -> bool:
    """Whether a backend's package is installed, without importing it."""
    return find_spec(BACKENDS[backend].package) is not None


def check_exporters(packages: Mapping[str, str]) -> None:
    """Raise RuntimeError, before a long export, for a package that is missing; packages: what pip installs for each."""
    for package, install in packages.items():
        if find_spec(package) is None:
            raise RuntimeError(f"its export needs {package}, which is not installed: pip install {install}")


def choose_backend(backend: str, device: str, weights: Path) -> str:
    """`backend` itself, or for auto the fastest one that is installed, for a classifier's file on cpu, cuda or cuda:N.

    Raises UsageError if it cannot run on that device.
    """
    if backend != "auto":
        check_place(backend, device == "cpu", device)
        return backend
    if found := fastest(_able(weights), device == "cpu"):
        return found
    raise UsageError(f"{weights} runs on the CPU only; add --device cpu")


def check_place(backend: str, is_cpu: bool, device: str) -> None:
    """Raise UsageError if the backend cannot run there: on the CPU, or else on GPUs; the message says `device`."""
    only_on = BACKENDS[backend].only_on
    if only_on == "cpu" and not is_cpu:
        raise UsageError(f"backend {backend} runs on the CPU, not on {device}; add --device cpu")
    if only_on == "cuda" and is_cpu:
        raise UsageError(f"backend {backend} needs a CUDA device, not the CPU")


def fastest(able: Collection[str], is_cpu: bool) -> str | None:
    """The fastest of these backends that is installed, on the CPU or on a GPU; None if there is none."""
    order = ("openvino", "torch", "onnx") if is_cpu else ("torch", "onnx")
    return next((name for name in order if name in able and is_installed(name)), None)


def runs_on_cuda(weights: Path) -> bool:
    """Whether an installed backend can run a classifier's file on a GPU."""
    able = [name for name in _able(weights) if is_installed(name)]
    if "torch" in able or "onnx" not in able:
        return "torch" in able
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()  # not in its build for CPUs


def _able(weights: Path) -> list[str]:
    """The backends that can run a file; any suffix other than those of exported files counts as a checkpoint."""
    kind = weights.suffix.lower()
    found = [name for name, runtime in BACKENDS.items() if kind in runtime.suffixes]
    return found or list(BACKENDS)


def choose_precision(precision: str, backend: str, device: str, exported: bool) -> str:
    """f32, f16 or bf16. For auto: 16 bits if they are faster on the backend and the file is a checkpoint.

    An exported file runs as it was exported, in 32 bits, because its accuracy was checked that way.
    Raises UsageError for a precision that the backend does not have.
    """
    if precision == "f32" or (precision == "auto" and exported):
        return "f32"
    if precision == "auto" and backend == "openvino":
        from vidclf.models.openvino_runtime import openvino_precision

        return openvino_precision()
    if precision == "auto":
        return "f16" if "f16" in _precisions(backend, exported) and device.startswith("cuda") else "f32"
    check_available(precision, backend, exported)
    return precision


def check_available(precision: str, backend: str, exported: bool = False) -> None:
    """Raise UsageError if the backend does not have a precision on this machine; auto and f32 are always there."""
    if precision in ("auto", "f32"):
        return
    able = _precisions(backend, exported)
    if precision not in able:
        what = "an exported file" if backend == "torch" else backend
        raise UsageError(f"precision {precision}: {what} has only {' and '.join(able)} on this machine")


def _precisions(backend: str, exported: bool) -> list[str]:
    """The precisions of a backend, on this machine; a TorchScript file has its own."""
    if backend == "openvino":
        from vidclf.models.openvino_runtime import openvino_precisions

        return openvino_precisions()
    if backend == "torch":
        return ["f32"] if exported else ["f32", "f16", "bf16"]
    return ["f32", "f16"] if backend == "tensorrt" else ["f32"]
