"""The formats of a record: how JSONL, CSV and Parquet are written, and what of a broken file is still good."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from vidclf.files import PIECE
from vidclf.rows import COLUMNS, SCHEMA, Row
from vidclf.stdout import needs_ascii

ROW_GROUP = 10_000  # rows Parquet holds before it writes them


class _Lines:
    """A text file, or stdout, with one row per line; each line is written at once, so a killed process loses none."""

    can_pause = True  # a file that ends because the disk is full can be read up to there

    def __init__(self, part: Path | None, header: str):
        self.file = part.open("w", encoding="utf-8", newline="", buffering=1) if part else sys.stdout
        try:
            self.file.write(header)
        except OSError:
            with suppress(OSError):
                self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not sys.stdout:
            self.file.close()

    @staticmethod
    def salvage(part: Path) -> bool:
        """Cut off half a line at the end of a part that was not closed; whether a complete line is left."""
        with part.open("rb+") as file:
            end = size = file.seek(0, 2)
            while end:
                begin = max(0, end - PIECE)
                file.seek(begin)
                found = file.read(end - begin).rfind(b"\n")
                if found >= 0:
                    if begin + found + 1 < size:
                        file.truncate(begin + found + 1)
                    return True
                end = begin
        return False


class JsonLines(_Lines):
    """JSON, one row per line; the first line is a header."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part, json.dumps({"schema": SCHEMA, "columns": list(columns)}) + "\n")
        self._ascii = needs_ascii(self.file)

    def write(self, row: Row) -> None:
        self.file.write(json.dumps(row, ensure_ascii=self._ascii) + "\n")


class Csv(_Lines):
    """Comma-separated values with a line of column names; null is an empty field."""

    def __init__(self, part: Path | None, columns: Mapping[str, str] = COLUMNS):
        super().__init__(part, ",".join(columns) + "\n")
        self._writer = csv.DictWriter(self.file, list(columns), lineterminator="\n", extrasaction="ignore")

    def write(self, row: Row) -> None:
        self._writer.writerow(row)


class Parquet:
    """Apache Parquet, in groups of rows; readable once it is closed."""

    can_pause = False

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

    @staticmethod
    def salvage(_: Path) -> bool:
        """Whether a part that was not closed can be read: never."""
        return False

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


Table = JsonLines | Csv | Parquet
TABLES: dict[str, type[Table]] = {".jsonl": JsonLines, ".csv": Csv, ".parquet": Parquet}
