"""The formats of a record: JSONL, CSV and Parquet, and stdout."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TextIO

from vidclf.errors import VidclfError
from vidclf.rows import COLUMNS, SCHEMA, Row

STDOUT = "-"
ROW_GROUP = 10_000  # rows Parquet holds before it writes them


@contextmanager
def stdout() -> Iterator[TextIO]:
    """Stdout, flushed at the end; VidclfError if it is closed or full, BrokenPipeError if nobody reads it."""
    if sys.stdout is None:
        raise VidclfError("cannot write to stdout: it is closed")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VidclfError(f"cannot write to stdout: {error.strerror or error}") from None


def needs_ascii(file: TextIO) -> bool:
    """Whether a text file or stdout cannot encode every character, so that JSON has to escape them."""
    return (file.encoding or "").lower().replace("-", "") != "utf8"


class _Lines:
    """A text file, or stdout, with one row per line; each line is written at once, so a killed process loses none."""

    def __init__(self, part: Path | None):
        self.file = part.open("w", encoding="utf-8", newline="", buffering=1) if part else sys.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not sys.stdout:
            self.file.close()


class JsonLines(_Lines):
    """JSON, one row per line; the first line is a header."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part)
        self._ascii = needs_ascii(self.file)
        self.file.write(json.dumps({"schema": SCHEMA, "columns": list(columns)}) + "\n")

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row, ensure_ascii=self._ascii) + "\n")


class Csv(_Lines):
    """Comma-separated values with a line of column names; null is an empty field."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part)
        self._writer = csv.DictWriter(self.file, list(columns), lineterminator="\n", extrasaction="ignore")
        self._writer.writeheader()

    def write(self, row: Row) -> None:
        self._writer.writerow(row)


class Parquet:
    """Apache Parquet, in groups of rows; readable once it is closed."""

    def __init__(self, part: Path, columns: Mapping[str, str] = COLUMNS):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._arrow = pa
        self._schema = pa.schema(list(columns.items()), metadata={"vidclf_schema": str(SCHEMA)})
        self._writer = pq.ParquetWriter(part, self._schema)
        self._rows: list[Row] = []

    def __enter__(self) -> Parquet:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


TABLES: dict[str, type[JsonLines | Csv | Parquet]] = {".jsonl": JsonLines, ".csv": Csv, ".parquet": Parquet}
