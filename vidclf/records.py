"""Reads records and truth files, and checks their rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path, PurePosixPath
from reprlib import repr as shown  # of a value that may be long

from vidclf.errors import UsageError, one_line
from vidclf.rows import BOX, SCHEMA, Row

PIXELS = 2**31 - 1  # the largest coordinate that a record can hold
RECORD_COLUMNS = ("source", "frame", *BOX, "label", "label_score")  # the columns of a record that are read here
TRUTH_COLUMNS = ("frame", "time", "object", *BOX, "label")

Corners = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels; x1, y1 exclusive


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One detection."""

    frame: int  # index in decode order
    box: Corners
    label: str = ""  # "" = the classifier abstained
    label_score: float = 0.0


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One object on one frame."""

    frame: int  # index in decode order
    time: float  # seconds
    object: str  # its identity
    box: Corners
    label: str


def read_record(path: Path) -> dict[str, list[RecordRow]]:
    """Read the detections of a record (.jsonl, .csv or .parquet) by source; a source may have none.

    Raises UsageError for a missing file, and for one that is not a record.
    """
    sources: dict[str, list[RecordRow]] = {}
    for place, row in _rows(path, RECORD_COLUMNS, "record"):
        rows = sources.setdefault(str(row["source"]), [])
        if row["x0"] in (None, ""):  # a row of --record-frames: a frame, not a detection
            continue
        try:
            label_score = _number(row, "label_score")
            if not 0 <= label_score <= 1:
                raise ValueError(f"label_score is {label_score}, not 0 to 1")
            rows.append(RecordRow(_index(row), _box(row), str(row["label"] or ""), label_score))
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
    return sources


def read_truth(path: Path) -> list[TruthRow]:
    """Read the rows of a truth file; UsageError for a missing or empty file, and for one that is not a truth file."""
    rows = []
    for place, row in _rows(path, TRUTH_COLUMNS, "truth file"):
        try:
            if row["label"] is None:
                raise ValueError("label is missing")
            name, label = str(row["object"]), str(row["label"])
            rows.append(TruthRow(_index(row), _number(row, "time"), name, _box(row), label))
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
    if not rows:
        raise UsageError(f"{path} has no rows, so there is nothing to compare with")
    return rows


def pick_source(record: dict[str, list[RecordRow]], truth: Path, source: str | None = None) -> list[RecordRow]:
    """The detections of one source: the named one, the only one, or the one that the truth file is named after.

    `NAME.truth.jsonl` is the truth of `any/folder/NAME.mp4`. Raises UsageError if that leaves none or several.
    """
    if not record and source is None:  # a record without a row: nothing was detected
        return []
    names = list(record)
    if source is not None:
        names = [name for name in names if name == source]
    elif len(names) > 1:
        stem = truth.name.removesuffix(truth.suffix).removesuffix(".truth")
        names = [name for name in names if PurePosixPath(name.replace("\\", "/")).stem == stem]
    if len(names) == 1:
        return record[names[0]]
    problem = f"no source {source!r}" if source is not None else f"several sources, and {truth.name} does not say which"
    raise UsageError(f"the record has {problem}; --source takes one of: {', '.join(record) or '(none)'}")


def _rows(path: Path, columns: tuple[str, ...], what: str) -> Iterator[tuple[str, Row]]:
    """Yield (location, row) for every row of a file with these columns; any problem becomes a one-line UsageError."""
    readers = {".jsonl": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} is not a {what}: the suffix must be one of {', '.join(readers)}")
    try:
        for number, row in reader(path, columns):
            yield f"{path}, row {number}", row
    except UsageError:  # of the caller, about a row
        raise
    except FileNotFoundError:
        raise UsageError(f"no such {what}: {path}") from None
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror or error}") from None
    except (ValueError, csv.Error) as error:  # not JSON, not UTF-8, not Parquet, other columns
        raise UsageError(f"{path} is not a {what}: {one_line(error)}") from None


def _require(columns: tuple[str, ...], given: Collection[str], where: str) -> None:
    missing = [column for column in columns if column not in given]
    if missing:
        raise ValueError(f"{where} has no {', '.join(missing)}")


def _json_lines(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig") as lines:  # some programs put a mark before UTF-8
        number = 0
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise ValueError(f"row {number} is not JSON") from None
            if not isinstance(row, dict):
                raise ValueError(f"row {number} is not an object")
            if number == 1 and "schema" in row:
                if row["schema"] != SCHEMA:
                    raise ValueError(f"it has schema {row['schema']}, this version reads {SCHEMA}")
            else:
                _require(columns, row, f"row {number}")
                yield number, row
        if not number:
            raise ValueError("the file is empty")


def _csv(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if not reader.fieldnames:
            raise ValueError("the file is empty")
        _require(columns, reader.fieldnames, "its first row")
        for row in reader:
            yield reader.line_num, row


def _parquet(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        table = pq.ParquetFile(file)
        _require(columns, table.schema_arrow.names, "it")
        rows = (row for batch in table.iter_batches() for row in batch.to_pylist())
        yield from enumerate(rows, 1)


def _number(row: Row, column: str) -> float:
    try:
        number = float(row[column])
    except (TypeError, ValueError, OverflowError):  # JSON can have whole numbers that are too large for a float
        number = nan
    if not isfinite(number):
        raise ValueError(f"{column} is {shown(row[column])}, not a number")
    return number


def _index(row: Row) -> int:
    number = _number(row, "frame")
    if number < 0 or not number.is_integer():
        raise ValueError(f"frame is {row['frame']!r}, not a whole number from 0 on")
    return int(number)


def _box(row: Row) -> Corners:
    x0, y0, x1, y1 = (_number(row, column) for column in BOX)
    if max(map(abs, (x0, y0, x1, y1))) > PIXELS:
        raise ValueError(f"the box {x0:g}, {y0:g}, {x1:g}, {y1:g} is larger than any picture")
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"the box {x0:g}, {y0:g}, {x1:g}, {y1:g} is empty")
    return x0, y0, x1, y1
