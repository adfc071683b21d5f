"""A row of a record, an event or the page: its columns, and its values for a detection."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter, time
from typing import Any

from vidclf.frame import Detection, Frame

SCHEMA = 1
# Column: the type Parquet gives it.
COLUMNS = {
    "source": "string",
    "frame": "int64",
    "time": "float64",
    "track": "int64",
    "kind": "string",
    "x0": "int32",
    "y0": "int32",
    "x1": "int32",
    "y1": "int32",
    "score": "float32",
    "label": "string",
    "label_score": "float32",
}
AT = {"at": "string"}  # one more, if it is asked for: when the frame was captured, UTC, 2026-01-31T12:34:56.789Z
BOX = ("x0", "y0", "x1", "y1")

Row = dict[str, Any]


def to_row(frame: Frame, detection: Detection | None) -> Row:
    """The values of `COLUMNS` for a detection, its box in the source's own pixels; or for the frame alone."""
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"source": frame.source.name, "frame": frame.index, "time": round(frame.time, 6), "kind": "", "label": ""}
    if detection is not None:
        box = frame.placement.to_source(detection.box) if frame.placement else detection.box
        row |= dict(zip(BOX, map(int, box), strict=True))
        row |= {
            "track": None if detection.track is None else int(detection.track),
            "kind": detection.kind,
            "score": round(float(detection.score), 4),
            "label": detection.label,
            "label_score": round(float(detection.label_score), 4),
        }
    return row


def utc(seconds: float) -> str:
    """A time in seconds since 1970 as ISO 8601, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def since_1970(captured: float) -> float:
    """Seconds since 1970 at a time of `perf_counter`, by the clock as it is set now.

    Not from an offset that is computed once: a board without a clock battery begins in the past, until it is online.
    """
    return time() - (perf_counter() - captured)
