"""Reads the header of an exported classifier directly from the file: imports no torch, onnx or OpenVINO.

The header is the same JSON as in a checkpoint. ONNX has it in metadata_props, OpenVINO in rt_info, TorchScript as an
extra file in its archive; always with the name "vidclf".
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from vidclf.errors import UsageError, one_line

KEY = "vidclf"
# What the readers raise. RuntimeError: an encrypted archive, or an unknown compression; LookupError: an encoding.
NOT_READABLE = (
    ValueError,
    EOFError,
    RuntimeError,
    LookupError,
    zlib.error,
    zipfile.BadZipFile,
    ElementTree.ParseError,
)


def header_text(path: Path) -> str | None:
    """The header's JSON, None if the file has none; raises UsageError if the file does not match its suffix."""
    name, read = READERS[path.suffix.lower()]
    try:
        return read(path)
    except NOT_READABLE as error:
        raise UsageError(f"{path}: not {name}, or cut short ({one_line(error)})") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from None


def weights_of(path: Path) -> Path:
    """The .bin file that an OpenVINO .xml needs beside it."""
    return path.with_suffix(".bin")


def _from_onnx(path: Path) -> str | None:
    """Walk the top-level fields of the protobuf message ModelProto, skipping the large ones."""
    with path.open("rb") as file:
        data = file.read()
    header = None
    for number, value in _fields(data):
        if number == 14 and isinstance(value, memoryview):  # metadata_props: StringStringEntryProto
            entry = {n: bytes(v) for n, v in _fields(value) if isinstance(v, memoryview)}
            if entry.get(1) == KEY.encode():
                header = entry.get(2, b"").decode()
    return header


def _fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a protobuf message: an int, or the bytes of a text or message.

    https://protobuf.dev/programming-guides/encoding/
    """
    view, at = memoryview(data), 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(view) or shift > 63:
                raise ValueError(f"ends at byte {at}" if at >= len(view) else f"not protobuf at byte {at}")
            byte = view[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    if not len(view):
        raise ValueError("empty")
    while at < len(view):
        tag = varint()
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            yield number, varint()
            continue
        if kind not in (1, 2, 5) or not number:
            raise ValueError(f"not protobuf at byte {at}")
        length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        if at + length > len(view):
            raise ValueError(f"{len(view)} of {at + length} bytes")
        yield number, view[at : at + length]
        at += length


def _from_openvino(path: Path) -> str | None:
    root = ElementTree.parse(path).getroot()
    if root.tag != "net":
        raise ValueError(f"its root element is {root.tag}, not net")
    entry = root.find(f"rt_info/{KEY}")
    if not weights_of(path).is_file():
        raise ValueError(f"{weights_of(path).name}, which belongs to it, is missing")
    return None if entry is None else entry.get("value")


def _from_torchscript(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{KEY}")]
        return archive.read(names[0]).decode() if names else None


READERS: dict[str, tuple[str, Callable[[Path], str | None]]] = {
    ".onnx": ("an ONNX model", _from_onnx),
    ".xml": ("an OpenVINO model", _from_openvino),
    ".pt": ("a TorchScript model", _from_torchscript),
    ".torchscript": ("a TorchScript model", _from_torchscript),
}
