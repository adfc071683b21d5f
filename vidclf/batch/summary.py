"""The summary of a batch: one self-contained HTML file with a sortable, searchable table of all clips."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Row
from typing import Any

from vidclf.batch.checks import decoded
from vidclf.batch.manifest import Manifest, now
from vidclf.files import PartFile

TEMPLATE = Path(__file__).with_name("summary.html")
COLUMNS = "path, status, error, frames, seconds, fps, detections, labels, warnings, outputs, thumbnail"


def write_summary(path: Path, manifest: Manifest, folder: str, problems: dict[str, str]) -> None:
    """Write the page, clip by clip, so that memory does not grow with their number.

    folder: of the clips, as it was given. problems: clips not in the manifest because they could not be tried.
    """
    head, tail = TEMPLATE.read_text(encoding="utf-8").split("/*DATA*/")
    with PartFile(path, force=True) as part, part.open("w", encoding="utf-8") as file:
        file.write(head)
        about = {"folder": folder, "made": now()}
        file.write(f"about = {_script(about)};\nclips = [\n")
        for row in _rows(manifest, problems):
            file.write(_script(row) + ",\n")
        file.write("];\n")
        file.write(tail)


def _rows(manifest: Manifest, problems: dict[str, str]) -> Iterator[list[Any]]:
    """A row for the page's script: see `columns` there."""
    for row in manifest.rows(COLUMNS):
        if row["path"] not in problems:
            yield _clip(row)
    for path, reason in problems.items():
        yield [path, "failed", reason, 0, 0, 0, 0, {}, [], "", ""]


def _clip(row: Row) -> list[Any]:
    video = next((name for name in decoded(row, "outputs") if name.endswith(".mp4")), "")
    picture = base64.b64encode(row["thumbnail"]).decode() if row["thumbnail"] else ""
    numbers = [row["frames"] or 0, row["seconds"] or 0, row["fps"] or 0, row["detections"] or 0]
    more: list[Any] = [decoded(row, "labels"), decoded(row, "warnings") or [], video, picture]
    return [row["path"], row["status"], row["error"] or "", *numbers, *more]


def _script(value: Any) -> str:
    """JSON that cannot end the script element that contains it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
