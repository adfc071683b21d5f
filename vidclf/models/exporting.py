"""Writes a classifier for other runtimes: ONNX, OpenVINO, TorchScript; each file with the same header as a checkpoint.

The exported network takes (N, channels, size, size) uint8, any N, and returns (N, classes) float32 logits; it contains
the normalisation. Labels, preprocessing and temperature are in its header (see `exported`): the calibrated
probabilities are softmax(logits / temperature).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidclf.errors import UsageError, VidclfError, one_line
from vidclf.files import hash_file
from vidclf.models.classifier import Classifier
from vidclf.models.exported import KEY, weights_of
from vidclf.models.openvino_runtime import import_openvino

INPUT, OUTPUT = "crops", "logits"


def export(model: Classifier, header: dict[str, Any], kind: str, path: Path) -> None:
    """Write `model` as `kind`, a name in `FORMATS`, with its checkpoint's header, into an existing folder.

    The caller moves the files to their final place when they are complete (OpenVINO has two).
    Raises UsageError if a package is missing, VidclfError if the network cannot be converted or written.
    """
    packages, write = FORMATS[kind]
    if missing := [name for name in packages if find_spec(name) is None]:
        raise UsageError(f"export to {kind} needs {', '.join(missing)}: pip install {' '.join(missing)}")
    try:
        write(model.cpu().eval(), header, path)
    except (UsageError, OSError):
        raise
    except Exception as error:  # converters raise many kinds of errors for unknown operations
        raise VidclfError(f"cannot export to {kind}: {type(error).__name__}: {one_line(error, 200)}") from error


def example(model: Classifier) -> Tensor:
    """Two crops of the model's size; a batch of one would be treated as a constant."""
    size, channels = model.preprocess.format
    return torch.zeros(2, channels, size, size, dtype=torch.uint8)


def trace(module: nn.Module, *inputs: Tensor) -> torch.jit.ScriptModule:
    """TorchScript of a module, without its warnings."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but nothing else runs without Python and its source
        traced: torch.jit.ScriptModule = torch.jit.trace(module, inputs, strict=False, check_trace=False)
    return traced


def _to_onnx(model: Classifier, header: dict[str, Any], path: Path) -> None:
    with _silent():
        program = torch.onnx.export(
            model,
            (example(model),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props[KEY] = json.dumps(header)
        program.save(path, external_data=False)


def _to_openvino(model: Classifier, header: dict[str, Any], path: Path) -> None:
    ov = import_openvino()
    network = convert(model, (example(model), [-1, *example(model).shape[1:]]))
    ov.save_model(network, path, compress_to_fp16=False)
    # The two files must not be mixed up, and OpenVINO's format does not check this.
    network.set_rt_info(json.dumps(header | {"bin": f"sha256:{hash_file(weights_of(path))}"}), [KEY])
    ov.save_model(network, path, compress_to_fp16=False)


def convert(module: nn.Module, *inputs: tuple[Tensor, list[int]]) -> Any:
    """An `openvino.Model` of a torch module, its first input and output named as above.

    inputs: an example of each, and its shape, with -1 for any size.
    """
    ov = import_openvino()
    kinds = {torch.uint8: ov.Type.u8, torch.float32: ov.Type.f32}
    examples = [example for example, _ in inputs]
    with _silent():
        shapes = [(shape, kinds[example.dtype]) for example, shape in inputs]
        network = ov.convert_model(trace(module, *examples), example_input=tuple(examples), input=shapes)
    network.inputs[0].get_tensor().set_names({INPUT})
    network.outputs[0].get_tensor().set_names({OUTPUT})
    return network


def _to_torchscript(model: Classifier, header: dict[str, Any], path: Path) -> None:
    with _silent(), path.open("wb") as file:  # by a name that is not ASCII, torch cannot write on Windows
        torch.jit.save(trace(model, example(model)), file, _extra_files={KEY: json.dumps(header)})


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Silence the converters, which print to stdout, warn, and write their own logs."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


# Format: (packages it needs, function that writes it).
FORMATS: dict[str, tuple[tuple[str, ...], Callable[[Classifier, dict[str, Any], Path], None]]] = {
    "onnx": (("onnx", "onnxscript"), _to_onnx),
    "openvino": (("openvino",), _to_openvino),
    "torchscript": ((), _to_torchscript),
}
