"""`vidclf models`: the classifiers that are shipped, and what their files say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidclf.cli.execute import write_json
from vidclf.models.checkpoint import read_header
from vidclf.models.zoo import NETWORKS
from vidclf.resources import shipped


@click.command()
@click.option("--json", "json_file", metavar="FILE", help="Write it as JSON; - is stdout, without the table.")
def models(json_file: str | None) -> None:
    """List the shipped classifiers: what `--weights` takes by name.

    \b
    Examples:
      vidclf models
      vidclf models --json - | jq '.[].labels'
    """
    files = sorted(shipped("weights").glob("*.safetensors"))
    rows = [describe(path) for path in files]
    if json_file:
        write_json(rows, json_file)
    if json_file == "-":
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "network", caption=f"networks that `vidclf train` makes: {', '.join(NETWORKS)}")
    table.caption_justify = "left"
    for title in ("parameters", "test accuracy", "crop", "classes", "file"):
        table.add_column(title, justify="right")
    for row in rows:
        accuracy = "-" if row["top1"] is None else f"{row['top1']:.2f} %"
        crop = f"{row['size']}x{row['size']} {'grey' if row['channels'] == 1 else 'colour'}"
        numbers = [f"{row['parameters']:,}", accuracy, crop, str(len(row["labels"])), f"{row['bytes'] / 1e6:.2f} MB"]
        table.add_row(row["name"], row["architecture"], *numbers)
    Console().print(table)


def describe(path: Path) -> dict[str, Any]:
    """What a checkpoint's header says of it; top1 and ece (on the test pictures, in percent) are None where unknown."""
    header = read_header(path)
    metrics = header.get("metrics", {})
    return {
        "name": path.stem,
        "architecture": header["architecture"],
        "parameters": header.get("parameters"),
        "top1": metrics.get("top1"),
        "ece": metrics.get("ece"),
        "size": header["preprocess"]["size"],
        "channels": header["preprocess"]["channels"],
        "labels": header["labels"],
        "bytes": path.stat().st_size,
    }
