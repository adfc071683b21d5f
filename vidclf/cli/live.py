"""Options of `run` for live sources and long recordings, and how several live sources become one pipeline."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import time

import click

from vidclf.cli.options import with_options
from vidclf.errors import UsageError
from vidclf.frame import Source
from vidclf.recipe import Item
from vidclf.stdout import STDOUT

NAME = re.compile("[A-Za-z0-9_-]+")  # of a source, on the command line
TABLE = "record.jsonl"  # where --record is a folder; the name gets a time
OPTIONS = [
    click.option(
        "--latency-target", metavar="TIME", help="Allowed lag of live sources: the longer, the fewer skipped frames."
    ),
    click.option(
        "--give-up-after", metavar="TIME", help="Give up on a live source that has sent no picture for this long."
    ),
    click.option("--segment", metavar="TIME", help="Cut the video into files of this length: 10m, 1h."),
    click.option("--keep", metavar="TIME", help="Delete a live source's segments or events at this age: 7d."),
    click.option(
        "--keep-size", metavar="SIZE", help="Delete the oldest of them beyond this total size: 50G; keeps the newest."
    ),
    click.option(
        "--only-when",
        metavar="KIND,...",
        help="Write only while these kinds or labels are seen: one file per event.",
    ),
    click.option("--pre-roll", metavar="TIME", help="Time to write from before an event; default: 5s."),
    click.option("--post-roll", metavar="TIME", help="Time to write from after an event; default: 5s."),
]
live_options = with_options(OPTIONS)


def split_name(source: str) -> tuple[str | None, str]:
    """Split `NAME=ADDRESS` into name and address (a URL or a camera); the name is None for anything else."""
    from vidclf.video.address import is_camera, is_url, redact

    name, _, address = source.partition("=")
    if is_url(source) or os.path.exists(source):  # noqa: PTH110 - Path.exists fails for a name that is too long
        return None, source
    if NAME.fullmatch(name) and (is_url(address) or is_camera(address)):
        return name, address
    if is_url(address):  # not a file either; it may hold a password that no message should show
        raise UsageError(f"a source's name must be letters, digits, - and _, got {name!r} for {redact(address)}")
    return None, source


def refuse_same_names(captures: Sequence[Item]) -> None:
    """Raise UsageError if two sources would have the same name: tables and files could not tell them apart.

    The same address twice is no mistake; two that differ only in a password, which no name shows, need names.
    """
    from vidclf.video.address import is_url, readable, redact

    taken: list[tuple[str, str]] = []  # the name and the address of each
    for item in sorted(captures, key=lambda item: "name" in item.options):  # named ones last
        address, given = str(item.options["source"]), item.options.get("name")
        name = str(given or readable(redact(address)))
        for other_name, other in taken:
            is_same = given is not None and name.casefold() == other_name.casefold()
            if is_same or (name == other_name and address != other and is_url(address)):
                raise UsageError(f"several sources are called {name}; give each its own name (NAME=URL)")
        taken.append((name, address))


def together(sources: Sequence[str]) -> bool:
    """Whether sources run at the same time, as live ones do; UsageError if only some are live."""
    from vidclf.video.address import is_live, redact

    live = [source for source in sources if is_live(source)]
    if live and len(live) < len(sources):
        other = next(source for source in sources if source not in live)
        raise UsageError(
            f"live and recorded sources cannot run together ({redact(live[0])} is live, {redact(other)} is not); "
            "run them separately"
        )
    return bool(live)


def live_outputs(sources: Sequence[str], output: str | None, record: str | None) -> tuple[str | None, Path | None]:
    """Where the videos and the table of live sources go: several sources need a folder, but share one table.

    In a folder the table has a time in its name, like the videos, so that earlier files are not overwritten.
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


def side_by_side(items: list[Item], sources: Sequence[tuple[str | None, str]]) -> list[Item]:
    """The items with a capture for each source, a name and an address, instead of the first."""
    options = [{"source": source} | ({"name": name} if name else {}) for name, source in sources]
    captures = [replace(items[0], options=items[0].options | given) for given in options]
    return [*captures, *items[1:]]
