"""Writes reports and traces as JSON: to a file, complete or not at all, or to stdout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from vidclf.files import PartFile
from vidclf.stdout import STDOUT, is_valid, needs_ascii, stdout

if TYPE_CHECKING:
    from vidclf.trace import Trace


def write_json(content: Any, target: str) -> None:
    """Write to a file, complete or not at all; `-` is stdout."""
    with opened(target) as file:
        text = json.dumps(content, indent=2, ensure_ascii=needs_ascii(file))
        if not is_valid(text):  # a file's name is bytes, and may not be UTF-8
            text = json.dumps(content, indent=2)
        file.write(text + "\n")


@contextmanager
def traced(target: str | None) -> Iterator[Trace | None]:
    """A trace to pass to `execute`; written to `target` afterwards, even if the run failed. None without a target."""
    if target is None:
        yield None
        return
    from vidclf.trace import Trace

    trace = Trace()
    try:
        yield trace
    finally:
        with opened(target) as file:
            trace.write(file)


@contextmanager
def opened(target: str) -> Iterator[TextIO]:
    """A text file to write, complete or not at all; `-` is stdout."""
    if target == STDOUT:
        with stdout() as file:
            yield file
        return
    with PartFile(target, force=True) as part, part.open("w", encoding="utf-8") as file:
        yield file
