"""ONNX Runtime: its sessions on the CPU, on CUDA and on TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidclf.errors import UsageError, one_line


class ProviderError(UsageError):
    """ONNX Runtime cannot use what it was asked to run on; the file is not to blame."""


def onnx_session(file: Path, device: str, threads: int, tensorrt: str | None = None) -> Any:
    """An `onnxruntime.InferenceSession` of a file, on cpu, cuda or cuda:N.

    threads: for each operation, on the CPU. tensorrt: a precision, f32 or f16, in which TensorRT compiles it for the
    GPU. Raises UsageError for a file that it cannot load, ProviderError if it cannot use that device.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: its warnings cannot be acted on
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        place = {"device_id": int(device.partition(":")[2] or 0)}
        providers.insert(0, ("CUDAExecutionProvider", place))
        if tensorrt:
            providers.insert(0, ("TensorrtExecutionProvider", place | {"trt_fp16_enable": tensorrt != "f32"}))
    available = onnxruntime.get_available_providers()
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in available:
        raise ProviderError(f"ONNX Runtime has no {wanted} here (pip install onnxruntime-gpu), only {available}")
    try:
        # Its own fallback to another provider would print to stdout, where a record may go.
        session = onnxruntime.InferenceSession(str(file), options, providers=providers, enable_fallback=0)
    except Exception as error:  # its exceptions have no common base class
        raise UsageError(f"{file}: ONNX Runtime cannot load it ({one_line(error, 200)})") from None
    if wanted not in (used := session.get_providers()):
        raise ProviderError(f"{wanted} cannot run here, only {', '.join(used)}")
    return session
