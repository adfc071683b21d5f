"""`vidclf models`: lists the networks, their cost and accuracy, and which are shipped trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vidclf.cli.json_file import write_json
from vidclf.cli.options import DEBUG, json_option
from vidclf.cli.reports import check_reports
from vidclf.models.checkpoint import read_header
from vidclf.models.zoo import NETWORKS
from vidclf.resources import shipped

BATCHES = (1, 64)


@click.command()
@json_option("Write the list as JSON; - is stdout, without the table.")
@click.option(
    "--measure/--no-measure",
    default=True,
    show_default=True,
    help="Measure the time per crop on this machine; takes some seconds.",
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where to measure.")
@DEBUG
def models(json_file: str | None, measure: bool, device: str) -> None:
    """List the networks that `train --model` accepts; those with weights can also be used as `--weights`.

    Parameters and multiplications (MMAC: millions per crop) are for 28x28 grey crops and ten classes. Accuracies are
    top-1 on Fashion-MNIST's 10,000 test pictures: as published by the authors, and as measured with vidclf.

    \b
    Examples:
      vidclf models --no-measure
      vidclf models --json - | jq '.[] | select(.weights) | .weights.labels'
    """
    from vidclf.models.device import choose_device

    check_reports({"--json": json_file})
    place = choose_device(device)
    rows = [describe(name) for name in [*NETWORKS, *sorted(weights().keys() - NETWORKS.keys())]]
    if measure:
        for row in rows:
            row["microseconds"] = time_a_crop(row["architecture"], place)
    if json_file:
        write_json(rows, json_file)
    if json_file != "-":
        show(rows, place if measure else None)


def weights() -> dict[str, Path]:
    """The shipped checkpoints by their names."""
    return {path.stem: path for path in shipped("weights").glob("*.safetensors")}


def describe(name: str) -> dict[str, Any]:
    """A network, or shipped weights of another name; `weights` describes the weights file, None without one."""
    from vidclf.models.measure import sizes

    path = weights().get(name)
    found = weights_of(path) if path else None
    architecture = found["architecture"] if found else name
    network = NETWORKS[architecture]
    parameters, macs = sizes(architecture)
    return {
        "name": name,
        "architecture": architecture,
        "parameters": found["parameters"] if found else parameters,
        "macs": macs,
        "microseconds": None,
        "published": network.published if name in NETWORKS else None,
        "measured": found["top1"] if found else network.measured,
        "weights": found,
    }


def weights_of(path: Path) -> dict[str, Any]:
    """The facts in a checkpoint's header; top1 and ece (on the test pictures, in percent) are None if unknown."""
    header = read_header(path)
    metrics = header.get("metrics", {})
    return {
        "file": path.name,
        "architecture": header["architecture"],
        "parameters": header.get("parameters"),
        "top1": metrics.get("top1"),
        "ece": metrics.get("ece"),
        "size": header["preprocess"]["size"],
        "channels": header["preprocess"]["channels"],
        "labels": header["labels"],
        "bytes": path.stat().st_size,
    }


def time_a_crop(architecture: str, device: str) -> dict[str, float]:
    """Microseconds per crop by batch size, measured now."""
    from vidclf.models.measure import microseconds
    from vidclf.models.zoo import create

    model = create(architecture).eval().to(device)
    return {str(batch): round(microseconds(model, batch, device, seconds=0.1), 1) for batch in BATCHES}


def show(rows: list[dict[str, Any]], device: str | None) -> None:
    """Print the table; `device` is where the times were measured, None if they were not."""
    import torch
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(caption_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # to fit 80 columns
    table.add_column("name", no_wrap=True)
    for title in ("parameters", "MMAC", *(f"us, {n}" for n in BATCHES), "published", "measured", "weights"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        times = [f"{row['microseconds'][str(n)]:,.0f}" if row["microseconds"] else "-" for n in BATCHES]
        accuracies = [f"{row[key]:.2f} %" if row[key] is not None else "-" for key in ("published", "measured")]
        size = f"{row['weights']['bytes'] / 1e6:.1f} MB" if row["weights"] else "-"
        table.add_row(row["name"], f"{row['parameters']:,}", f"{row['macs'] / 1e6:.1f}", *times, *accuracies, size)
    batches = " and ".join(map(str, BATCHES))
    table.caption = f"us per crop, in batches of {batches}: not measured"
    if device:
        threads = f", {torch.get_num_threads()} threads" if device == "cpu" else ""
        table.caption = f"us per crop, in batches of {batches}, measured now: torch in float32, {device}{threads}"
    Console().print(table)
