"""What a run says at its end: the table of stages, the ledger in words, and the files it wrote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vidclf.files import Made
from vidclf.recipe import WRITERS, Item
from vidclf.stdout import STDOUT

# Built-in stages that save or show results; a custom stage (module:Class) may do so, too.
KEEPERS = {"write", "record", "save-crops", "publish", "serve", "display"}
NARROW = 72  # characters below which the closing table leaves columns out
# Column: (key in a stage's statistics, digits).
COLUMNS = {
    "in": ("in", 0),
    "out": ("out", 0),
    "busy s": ("busy_s", 2),
    "waits in s": ("wait_in_s", 2),
    "waits out s": ("wait_out_s", 2),
    "p50 ms": ("p50_ms", 1),
    "p95 ms": ("p95_ms", 1),
}


def tell(stats: dict[str, Any], items: list[Item], stages: Sequence[Any], console: Console) -> None:
    """Print the closing table of one run, its statistics in words, and the files it wrote."""
    console.print(closing_table(stats, console.width), soft_wrap=False)
    for line in closing_lines(stats):
        console.print(line)
    for item, stage in zip((item for item in items if item.name != "capture"), stages, strict=True):
        if item.name in WRITERS and str(item.options["path"]) != STDOUT:
            if not (line := written(stage.made)):
                line = f"nothing was written to {Path(str(item.options['path']))}{never_seen(item, stats)}"
            console.print(line)
        elif item.name == "save-crops":
            console.print(f"{'wrote' if stage.counts['saved'] else 'nothing was written to'} {stage.folder}")
    if not any(":" in item.name or item.name in KEEPERS for item in items):
        console.print("nothing was saved: use -o OUT.mp4 for a video, --record OUT.jsonl for a table")


def closing_table(stats: dict[str, Any], width: int = NARROW) -> Table:
    """One row per stage: where the frames and the time went; fewer columns if `width` is narrow."""
    title = f"{stats['source']}: {stats['wall_s']:.1f} s, {stats['fps']:.1f} frames/s"
    table = Table(title=title, title_justify="left")
    table.add_column("stage", no_wrap=True)
    columns = COLUMNS if width >= NARROW else {name: COLUMNS[name] for name in ("out", "busy s")}
    for name in columns:
        table.add_column(name, justify="right")
    for row in stats["stages"]:
        slowest = row["name"] == stats["bottleneck"]
        numbers = [f"{row[key]:.{digits}f}" for key, digits in columns.values()]
        table.add_row(row["name"] + (" *" if slowest else ""), *numbers, style="bold" if slowest else None)
    table.caption, table.caption_justify = "* the bottleneck", "left"
    return table


def closing_lines(stats: dict[str, Any]) -> list[str]:
    """The ledger and the labels, in words."""
    ledger = stats["ledger"]
    parts = [f"{ledger['read']} frames read", f"{ledger['finished']} finished"]
    if ledger["corrupt"]:
        parts.append(f"{ledger['corrupt']} corrupt packets skipped")
    parts += [f"{count} dropped ({reason})" for reason, count in ledger["dropped"].items()]
    labels = _listed({label or "no label": count for label, count in stats["labels"].items()})
    lines = [", ".join(parts), f"{stats['detections']} detections{': ' + labels if labels else ''}"]
    for name, entry in stats.get("sources", {}).items():
        if entry.get("live"):
            facts = [f"{entry['finished']} of {entry['read']} frames"]
            facts.append(f"{entry['reconnects']} reconnect{'s' * (entry['reconnects'] != 1)}")
            if entry["finished"]:
                facts.append("lag " + "/".join(f"{lag:.0f}" for lag in entry["lag_ms"].values()) + " ms")
            if entry["problem"]:
                facts.append(entry["problem"])
            lines.append(f"{name}: {', '.join(facts)}")
    return lines + [f"{row['name']}: {_listed(row['counts'])}" for row in stats["stages"] if "counts" in row]


def written(made: Made) -> str:
    """The files that a stage has written, in words; empty if there is none."""
    if made.files < 2:
        return f"wrote {made.latest}" if made.latest else ""
    assert made.latest
    length = f", {made.seconds:.0f} s" if made.seconds else ""
    return f"wrote {made.latest.parent}{os.sep}: {made.files} files{length}, the latest is {made.latest.name}"


def never_seen(item: Item, stats: dict[str, Any]) -> str:
    """Explain why no event was recorded: what was awaited, and which labels were seen instead."""
    wanted = item.options.get("only_when")
    if not wanted:
        return ""
    seen = ", ".join(label for label in stats["labels"] if label) or "none"
    return f": {wanted if isinstance(wanted, str) else ','.join(map(str, wanted))} was never seen; labels seen: {seen}"


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in numbers.items())
