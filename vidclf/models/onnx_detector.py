"""Detectors for ONNX Runtime, converted from .pt files, once, into the cache."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError
from vidclf.models.backends import check_exporters
from vidclf.models.converted import converted
from vidclf.models.networks import OnnxNetwork
from vidclf.models.onnx_runtime import ProviderError, onnx_session
from vidclf.models.ultralytics_model import export
from vidclf.threads import threads

NETWORK = "model.onnx"


def converted_to_onnx(weights: Path, device: str) -> OnnxNetwork:
    """The network of a .pt file, on cpu, cuda or cuda:N; once in the cache, torch and ultralytics are not imported.

    Raises UsageError if the file is not a model, RuntimeError if the package onnx is missing, ProviderError if ONNX
    Runtime cannot use the device, RuntimeError if it cannot load the network, and any error of ultralytics while it
    exports.
    """
    check_exporters({"onnx": "onnx"})
    known = converted(weights, f"onnx-{version('onnx')}-{version('ultralytics')}", _write)
    try:
        session = onnx_session(known.folder / NETWORK, device, threads("detector"))
    except ProviderError:
        raise
    except UsageError as error:  # not the user's mistake: the runtime may be older than the format
        raise RuntimeError(str(error)) from error
    return OnnxNetwork(session, known.spec, device, known.answers)


def _write(model: Any, folder: Path) -> None:
    export(model, "onnx", folder / NETWORK, dynamic=True, simplify=False)  # for which it needs one more package
