"""What `run` can be told about live sources and long recordings, and how several live sources become one pipeline."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import click

from vidclf.errors import UsageError
from vidclf.frame import Source
from vidclf.recipe import Item
from vidclf.stages.record import STDOUT

TABLE = "record.jsonl"  # where --record is a folder; the name gets a time
OPTIONS = [
    click.option(
        "--latency-target", metavar="TIME", help="Lag that live sources may have: with more, fewer frames are skipped."
    ),
    click.option(
        "--give-up-after", metavar="TIME", help="Give up a live source that has sent no picture for this long."
    ),
    click.option("--segment", metavar="TIME", help="Cut the video into files of this length: 10m, 1h."),
    click.option("--keep", metavar="TIME", help="Delete a live source's files when they are this old: 7d."),
    click.option(
        "--keep-size", metavar="SIZE", help="Delete the oldest when all together are larger: 50G; the newest stays."
    ),
    click.option(
        "--only-when",
        metavar="KIND,...",
        help="Write only while these kinds or labels are seen: a file for each event.",
    ),
    click.option("--pre-roll", metavar="TIME", help="How much to write from before an event; default: 5s."),
    click.option("--post-roll", metavar="TIME", help="How much to write from after it; default: 5s."),
]


def live_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options above."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def together(sources: Sequence[str]) -> bool:
    """Whether sources run at the same time, as live ones do; UsageError where only some are live."""
    from vidclf.video.opening import is_live, redact

    live = [source for source in sources if is_live(source)]
    if live and len(live) < len(sources):
        other = next(source for source in sources if source not in live)
        raise UsageError(
            f"live and recorded sources do not run together ({redact(live[0])} is live, {redact(other)} is not): "
            "a recording can wait, a camera cannot; give each a run of its own"
        )
    return bool(live)


def live_outputs(sources: Sequence[str], output: str | None, record: str | None) -> tuple[str | None, Path | None]:
    """Where the videos and the table of live sources go: several sources need a folder, but have one table.

    In a folder the table has a time in its name, as the videos do: what the run before wrote stays.
    """
    from vidclf.video.naming import stamped

    if output is not None and _is_folder(output):
        output = f"{Path(output)}{os.sep}"
    elif output is not None and len(sources) > 1:
        raise UsageError(f"several sources need a folder for their videos, got {output}")
    table = None if record is None else Path(record)
    if table is not None and record != STDOUT and _is_folder(str(record)):
        table = stamped(table / TABLE, Source("", (0, 0), live=True), time(), ())
    return output, table


def _is_folder(target: str) -> bool:
    path = Path(target)
    return target.endswith(("/", os.sep)) or path.is_dir() or not path.suffix


def side_by_side(items: list[Item], sources: Sequence[str]) -> list[Item]:
    """The items with a capture for each source instead of the first."""
    captures = [replace(items[0], options=items[0].options | {"source": source}) for source in sources]
    return [*captures, *items[1:]]
