"""`vidclf score`: measures how well a record agrees with the truth about its clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidclf.cli.json_file import write_json
from vidclf.cli.options import DEBUG, FilePath, json_option
from vidclf.cli.reports import check_reports
from vidclf.scoring import Score, score_files
from vidclf.stdout import encodable

if TYPE_CHECKING:
    from rich.table import Table

LINES = (
    ("objects", "objects", "in the truth"),
    ("boxes", "boxes", "in the truth"),
    ("detection_recall", "detection recall", "of the true boxes were found"),
    ("detection_precision", "detection precision", "of the recorded boxes are true"),
    ("box_accuracy", "box accuracy", "of the found boxes have the true label"),
    ("object_accuracy", "object accuracy", "of the objects, by majority over their life"),
    ("abstained", "abstained", "of the found boxes have no label"),
    ("label_changes_per_minute", "label changes", "per minute of an object's life"),
    ("ece", "calibration error", "between label scores and accuracy (15 bins)"),
)


@click.command()
@click.argument("record", type=FilePath(path_type=Path))
@click.argument("truth", type=FilePath(path_type=Path))
@json_option("Write the figures as JSON; - is stdout, without the table.")
@click.option("--iou", type=float, default=0.5, show_default=True, help="Minimum overlap of a found and a true box.")
@click.option("--source", help="Source to score, if the record has several [default: the one TRUTH is named after].")
@DEBUG
def score(record: Path, truth: Path, json_file: str | None, iou: float, source: str | None) -> None:
    """Compare RECORD (.jsonl, .csv or .parquet) with the truth file TRUTH.

    \b
    Examples:
      vidclf score wardrobe.jsonl wardrobe.truth.jsonl
      vidclf score wardrobe.jsonl wardrobe.truth.jsonl --json - | jq .object_accuracy
    """
    check_reports({"--json": json_file}, [("the record", record), ("the truth file", truth)])
    result = score_files(record, truth, iou, source)
    if not result.detection_recall:
        click.echo(f"none of the true boxes was found: do {record.name} and {truth.name} belong together?", err=True)
    if json_file:
        write_json(result.to_dict(), json_file)
    if json_file == "-":
        return
    from rich.console import Console

    title = encodable(f"{record.name} against {truth.name}, IoU >= {iou:g}")
    Console(markup=False, emoji=False).print(table(result, title))


def table(result: Score, title: str | None = None) -> Table:
    """The figures as a table."""
    from rich.table import Table

    lines = Table(title=title, show_header=False, title_justify="left")
    lines.add_column("figure", no_wrap=True)
    lines.add_column("value", justify="right", no_wrap=True)
    lines.add_column("meaning")
    for name, words, meaning in LINES:
        lines.add_row(words, _format(name, getattr(result, name)), meaning)
    return lines


def _format(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if name == "label_changes_per_minute" else f"{100 * value:.1f} %"
