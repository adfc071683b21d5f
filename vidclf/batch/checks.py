"""Checks the rows of a manifest before they are used, because the file may be damaged, or changed by somebody."""

from __future__ import annotations

import json
import os
from reprlib import repr as shortened
from sqlite3 import Row
from typing import Any

from vidclf.errors import UsageError

NEEDED = {"path", "name"}
NUMBERS = {"size", "mtime_ns", "attempts", "frames", "seconds", "detections", "fps", "wall_s"}
CONTENTS: dict[str, type] = {"outputs": dict, "ledger": dict, "labels": dict, "warnings": list}  # columns of JSON


def check(row: Row) -> None:
    """Raise ValueError if a column does not hold what it should, UsageError if a result would be outside its folder.

    Raises RecursionError for JSON that is nested too deeply.
    """
    for column in row.keys():  # noqa: SIM118 - a row itself iterates over its values
        value = row[column]
        if not value and column not in NEEDED:
            continue
        kind = (int, float) if column in NUMBERS else bytes if column == "thumbnail" else str
        if not isinstance(value, kind):
            raise ValueError(f"{column} is {shortened(value)}")
        if column in CONTENTS and not isinstance(decoded(row, column), CONTENTS[column]):
            raise ValueError(f"{column} is {shortened(value)}")
        names: list[str] = [row[column]] if column == "name" else [*decoded(row, column)] if column == "outputs" else []
        for name in names:
            name.encode()  # ValueError for what cannot be written as UTF-8
            if not is_below(name):
                raise UsageError(f"the clip {row['path']!r} has results outside the folder of results: {name!r}")


def decoded(row: Row, column: str) -> Any:
    """The content of a column of JSON; {} if it is empty."""
    return json.loads(row[column] or "{}")


def is_below(name: str) -> bool:
    """Whether a name is that of a file below a folder: not empty, not absolute, and without `..`."""
    parts = (name.replace(os.sep, "/") if os.altsep else name).split("/")  # Windows has two separators, and drives
    return parts[0] != "" and ".." not in parts and "\0" not in name and not os.path.splitdrive(name)[0]
