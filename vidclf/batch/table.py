"""The combined table: the rows of every finished clip's record in one Parquet or CSV file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidclf.batch.checks import decoded
from vidclf.batch.manifest import Manifest
from vidclf.batch.names import SUFFIX
from vidclf.batch.storage import Storage
from vidclf.errors import VidclfError
from vidclf.files import PartFile, discard_part
from vidclf.rows import AT, COLUMNS
from vidclf.tables import TABLES

KINDS = tuple((COLUMNS | AT).items())
LARGEST = {"int32": 2**31 - 1, "int64": 2**63 - 1, "float32": 2**24, "float64": 2**53}  # whole numbers they hold


def write_table(path: Path, manifest: Manifest, storage: Storage) -> bool:
    """Write the rows of all records, in the order of the clips' paths; False if the file is already up to date.

    The columns are those of the first record (see `vidclf.rows`); the suffix of `path` selects the format.
    Raises VidclfError if a record cannot be read or the table cannot be written.
    """
    records = list(_records(manifest))
    there = storage.have(name for name, _ in records)
    records = [record for record in records if record[0] in there]
    state = sha256(json.dumps([path.name, records]).encode()).hexdigest()
    if path.is_file() and manifest.fact("table") == state:
        return False
    columns = _columns(storage, records[0][0]) if records else COLUMNS
    try:
        with PartFile(path, force=True) as part, TABLES[path.suffix](part, columns) as table:
            for name, _ in records:
                for row in _rows(storage, name):
                    table.write(row)
    except BaseException:
        discard_part(path)  # half a table has nothing that the records do not have
        raise
    manifest.note("table", state)
    return True


def _records(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """(record, time it was made) of each clip that has one."""
    for row in manifest.rows("outputs, status, ended"):
        if row["status"] == "done":
            yield from ((name, row["ended"]) for name in decoded(row, "outputs") if name.endswith(SUFFIX["record"]))


def _columns(storage: Storage, name: str) -> dict[str, str]:
    # Reading its rows will tell what is wrong with a record.
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError), storage.open(name) as lines:
        if "at" in json.loads(next(lines, "{}")).get("columns", ()):
            return COLUMNS | AT
    return COLUMNS


def _rows(storage: Storage, name: str) -> Iterator[dict[str, Any]]:
    try:
        with storage.open(name) as lines:
            if "schema" not in json.loads(next(lines, "{}")):
                raise ValueError
            for line in lines:
                row = json.loads(line)
                if not _is_row(row):  # pyarrow would refuse many rows later, without a word about the record
                    raise ValueError
                yield row
    except (OSError, ValueError, TypeError, RecursionError):
        advice = "delete it and the clip will be processed again"
        raise VidclfError(f"{name} is no longer a valid record; {advice}") from None


def _is_row(row: Any) -> bool:
    """Whether each of the columns has a value of its type, or none; raises ValueError for text that is not valid."""
    if not isinstance(row, dict) or row.get("source") is None or row.get("frame") is None:
        return False
    for column, kind in KINDS:
        value = row.get(column)
        if value is None:
            continue
        if kind == "string":
            if not isinstance(value, str):
                return False
            value.encode()
        elif type(value) is int:  # not a bool, which is an int, too
            if abs(value) > LARGEST[kind]:
                return False
        elif type(value) is not float or kind.startswith("int"):
            return False
    return True
