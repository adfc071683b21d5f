"""OpenVINO in this process: imported without telemetry, one core, and the settings for this CPU."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from vidclf.models.device import is_bf16_faster


def import_openvino() -> Any:
    """The module `openvino` without telemetry: by default it reports each conversion to a server of its makers.

    If the telemetry package cannot be imported, OpenVINO uses a substitute that does nothing.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: its import fails
    import openvino

    return openvino


@cache
def openvino_core() -> Any:
    """The process's one `openvino.Core`."""
    return import_openvino().Core()


def openvino_settings(precision: str, count: int) -> dict[str, Any]:
    """Settings of the CPU plugin: the float precision, the number of threads, and no threads pinned to cores.

    Two networks and the rest of the pipeline share the cores. Threads pinned to the same core would wait in turn.
    """
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": count,
        "ENABLE_CPU_PINNING": False,
    }


def openvino_precision() -> str:
    """The fastest float precision of OpenVINO on this CPU: bf16 or f32.

    f32 on Windows, where OpenVINO's kernels with fewer bits have crashed (ultralytics 8.4 avoids them, too).
    """
    is_faster = "bf16" in openvino_precisions() and is_bf16_faster() and sys.platform != "win32"
    return "bf16" if is_faster else "f32"


def openvino_precisions() -> list[str]:
    """The float precisions that OpenVINO has on this CPU; if asked for another, it silently uses f32."""
    kinds = {"FP32": "f32", "FP16": "f16", "BF16": "bf16"}
    able = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for kind, name in kinds.items() if kind in able]
