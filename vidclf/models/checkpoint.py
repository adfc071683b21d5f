"""Checkpoints: one safetensors file per trained classifier, with everything needed to use it in the header.

Loading never unpickles anything, and reading the header alone needs neither torch nor the tensors.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from reprlib import repr as shown  # of a value that may be long
from typing import TYPE_CHECKING, Any

from vidclf import resources
from vidclf.errors import UsageError
from vidclf.files import PartFile
from vidclf.models import exported
from vidclf.models.class_names import PUBLISHED, read_names
from vidclf.models.header import check_header
from vidclf.preprocess import Preprocess

if TYPE_CHECKING:
    from vidclf.models.classifier import Classifier

SCHEMA = 1


def find(name_or_path: str | Path) -> Path:
    """The file of a shipped name ("lean") or of a path; raises UsageError if there is neither."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    folder = resources.shipped("weights")
    named = folder / f"{name_or_path}.safetensors"
    if named.is_file():
        return named
    names = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none"
    what = "is a folder, not a file of weights" if path.is_dir() else "not found: no such file or shipped weights"
    hint = "; for a detector use --detector-weights" if PUBLISHED.fullmatch(str(name_or_path)) else ""
    raise UsageError(f"weights {str(name_or_path)!r} {what} (shipped: {names}){hint}")


def read_header(name_or_path: str | Path) -> dict[str, Any]:
    """The header of a checkpoint, or of an exported classifier (.onnx, .xml, .pt), without its tensors.

    Keys: architecture, labels, preprocess (a dict), temperature, mean, std; and, if known, metrics, seed, data (hash),
    versions, created, command. Raises UsageError for files that vidclf has not written.
    """
    path = find(name_or_path)
    if path.suffix.lower() in exported.READERS:
        text = exported.header_text(path)
        if text is None:
            if read_names(path):
                raise UsageError(f"{path}: a YOLO detector, not a classifier; name it with --detector-weights")
            raise UsageError(f"{path}: no vidclf header (export it with vidclf export)")
    else:
        metadata = _metadata(path)
        text = metadata.get("vidclf")
        if text is None and "state" in metadata:
            raise UsageError(f"{path}: the state of a training run; its weights are in best.safetensors beside it")
        if text is None:
            raise UsageError(f"{path}: a safetensors file without a vidclf header (save it with vidclf.models.save)")
    try:
        header = json.loads(text)
        schema = header.get("schema")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: the vidclf header is not a JSON object") from error
    if schema != SCHEMA:
        raise UsageError(f"{path}: header schema {shown(schema)}, but this version reads {SCHEMA}")
    try:
        check_header(header)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return header


def read_preprocess(name_or_path: str | Path) -> Preprocess:
    """The preprocessing policy a checkpoint was trained with, without importing torch."""
    return Preprocess.from_dict(read_header(name_or_path)["preprocess"])


def load(name_or_path: str | Path, device: str = "cpu") -> Classifier:
    """The classifier in a checkpoint (a path or a shipped name), ready for inference on `device`.

    It takes (N, channels, size, size) uint8 and returns logits; it has .labels, .preprocess, .temperature and .name.
    Raises UsageError if the file is missing or damaged, or its architecture is unknown or does not match its tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from vidclf.models.zoo import create

    path = find(name_or_path)
    header = read_header(path)
    if path.suffix.lower() in exported.READERS:
        raise UsageError(
            f"{path}: an exported classifier can only be run (run --weights); use the .safetensors file here"
        )
    network = header["architecture"], header["labels"], Preprocess.from_dict(header["preprocess"])
    try:
        with torch.device("meta"):  # shapes without values: those of a wrong header may need 100 GB
            own = create(*network).state_dict()
        tensors = load_file(path)
    except SafetensorError as error:
        raise UsageError(f"{path}: damaged ({error})") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    wrong = sorted(key for key in own.keys() | tensors.keys() if _kind(own, key) != _kind(tensors, key))
    if wrong:
        raise UsageError(
            f"{path}: its tensors do not match architecture {header['architecture']!r}: "
            f"{len(wrong)} of {len(own)} are missing, unknown or of another shape or kind, for example {wrong[0]}"
        )
    model = create(*network)
    model.load_state_dict(tensors)
    model.temperature = float(header["temperature"])
    return model.eval().requires_grad_(False).to(device)


def check_name(path: Path) -> None:
    """Raise UsageError if a checkpoint of that name would be taken for an exported classifier."""
    if path.suffix.lower() in exported.READERS:
        raise UsageError(f"{path}: {path.suffix} is for exported classifiers (vidclf export); use NAME.safetensors")


def save(path: str | Path, model: Classifier, force: bool = True, **facts: Any) -> Path:
    """Write a classifier and its header in one step: `path` is either complete or as it was before.

    force: replace an existing file; otherwise that is a UsageError.
    facts: more fields for the header, as plain values: metrics, seed, data, command, ...
    """
    header = {
        "schema": SCHEMA,
        "architecture": model.name,
        "labels": list(model.labels),
        "preprocess": model.preprocess.to_dict(),
        "temperature": model.temperature,
        "mean": round(float(model.mean), 6),
        "std": round(float(model.std), 6),
        "parameters": model.parameter_count,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        **facts,
    }
    return write_tensors(path, model.state_dict(), {"vidclf": header}, force)


def write_tensors(path: str | Path, tensors: Mapping[str, Any], fields: Mapping[str, Any], force: bool = True) -> Path:
    """Write tensors and JSON fields as safetensors, in one step.

    Raises UsageError if `path` cannot be written, or exists and `force` is not set, VidclfError if it could not be
    finished.
    """
    from safetensors.torch import save as serialise

    own = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    metadata = {"format": "pt"} | {key: json.dumps(value) for key, value in fields.items()}
    content = serialise(own, metadata)  # its save_file makes files that only their owner can read
    with PartFile(path, force) as part:
        try:
            part.write_bytes(content)
        except BaseException:
            part.unlink(missing_ok=True)  # half of a network is useless
            raise
    return Path(path)


def versions() -> dict[str, str]:
    """The versions of this program and of the libraries that affect a result."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("vidclf", "torch", "numpy", "opencv-python"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that is not installed, or another build of OpenCV
            continue
    return found


def _metadata(path: Path) -> dict[str, str]:
    """The metadata in the JSON before the tensors, which follows eight bytes of little-endian length."""
    try:
        return _read_metadata(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read_metadata(path: Path) -> dict[str, str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            raise UsageError(f"{path}: not a safetensors file, or cut short ({size} bytes)")
        try:
            header = json.loads(file.read(length))
            metadata = dict(header.pop("__metadata__", {}))
            end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
            is_short = end > size
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise UsageError(f"{path}: not a safetensors file") from error
    if is_short:
        raise UsageError(f"{path}: cut short: {size} of {end} bytes")
    return metadata


def _kind(tensors: Mapping[str, Any], key: str) -> tuple[tuple[int, ...], bool] | None:
    """A tensor's shape, and whether it has floats, of any precision; None if there is no such tensor."""
    return (tuple(tensors[key].shape), tensors[key].is_floating_point()) if key in tensors else None
