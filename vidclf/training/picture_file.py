"""Reads one picture file for preprocessing: upright BGR pixels, and where the object is."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vidclf.errors import UsageError

# Formats that OpenCV reads, without and with a transparent background.
OPAQUE = frozenset((".bmp", ".dib", ".exr", ".hdr", ".jp2", ".jpe", ".jpeg", ".jpg", ".ras", ".sr"))
OPAQUE |= {".pbm", ".pgm", ".pnm", ".ppm"}
TRANSPARENT = frozenset((".avif", ".gif", ".png", ".tif", ".tiff", ".webp"))
SUFFIXES = OPAQUE | TRANSPARENT
# For these, OpenCV rotates the colours by their EXIF data, but not the transparency.
TURNED = frozenset((".png", ".webp"))
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda mask: mask, 2: np.fliplr, 3: lambda mask: np.rot90(mask, 2), 4: np.flipud, 5: np.transpose,
    6: lambda mask: np.rot90(mask, -1), 7: lambda mask: np.rot90(mask, 2).T, 8: np.rot90,
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"

Picture = tuple[np.ndarray, np.ndarray | None]  # (height, width[, 3]) uint8, (height, width) bool or None: everywhere


def read_picture(path: Path) -> Picture:
    """Decode a picture file: (height, width, 3) uint8 BGR, and where it is opaque (None: everywhere).

    Transparent pixels are outside the object, like pixels outside a detection's mask.
    Raises UsageError if the file cannot be read, or is damaged.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    content = np.frombuffer(packed, np.uint8)
    image = mask = None
    if packed and (not packed.startswith(PNG) or _is_whole_png(packed)):
        with _quiet_opencv():
            try:
                image = cv2.imdecode(content, cv2.IMREAD_COLOR)
                if image is not None and path.suffix.lower() in TRANSPARENT:
                    mask = _opaque(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))
                if mask is not None and path.suffix.lower() in TURNED:
                    mask = np.ascontiguousarray(TURNS[_orientation(packed)](mask))
            except Exception:  # a decoder's, for example of more pixels than OpenCV allows
                image = None
    if image is None:
        raise UsageError(f"{path}: not a picture, or damaged ({len(packed):,} bytes)")
    return image, mask if mask is not None and mask.shape == image.shape[:2] else None


def _opaque(whole: np.ndarray | None) -> np.ndarray | None:
    """Where a picture is at least half opaque; None if it has no transparency."""
    if whole is None or whole.ndim != 3 or whole.shape[2] != 4:
        return None
    full = np.iinfo(whole.dtype).max if whole.dtype.kind == "u" else 1
    mask = whole[..., 3] > full / 2
    return None if mask.all() else mask


def _orientation(packed: bytes) -> int:
    """The EXIF orientation of a picture, a key of `TURNS`; 1, upright, if its metadata are damaged."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(packed)) as opened:
            orientation = opened.getexif().get(0x0112, 1)
        return orientation if orientation in TURNS else 1
    except Exception:  # Pillow has many kinds for damaged metadata, and one for pictures that are too large for it
        return 1


def _is_whole_png(packed: bytes) -> bool:
    """Whether all chunks are there and undamaged; otherwise libpng would print its own messages to stderr."""
    at = len(PNG)
    while at + 12 <= len(packed):
        end = at + 8 + int.from_bytes(packed[at : at + 4], "big")
        if zlib.crc32(packed[at + 4 : end]) != int.from_bytes(packed[end : end + 4], "big"):
            return False
        if packed[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Silence OpenCV, which logs where in its source a decoder failed; our own line is more useful."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
