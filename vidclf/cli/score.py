"""`vidclf score`: how well a record agrees with the truth about its clip."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidclf.errors import VidclfError
from vidclf.rows import pick_source, read_record, read_truth
from vidclf.scoring import Score, compare

EXAMPLE = "Example: vidclf score wardrobe.jsonl samples/wardrobe.truth.jsonl --json -"
LINES = (
    ("objects", "objects", "in the truth"),
    ("boxes", "boxes", "in the truth"),
    ("detection_recall", "detection recall", "of the true boxes were found"),
    ("detection_precision", "detection precision", "of the recorded boxes are true"),
    ("box_accuracy", "box accuracy", "of the found boxes have the true label"),
    ("object_accuracy", "object accuracy", "of the objects: majority label is the true one"),
    ("abstained", "abstained", "of the found boxes have no label"),
    ("label_changes_per_minute", "label changes", "a minute of an object's life"),
    ("ece", "calibration error", "between label scores and accuracy (15 bins)"),
)


@click.command(epilog=EXAMPLE)
@click.argument("record", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON; - is stdout, without the table.")
@click.option("--iou", type=float, default=0.5, show_default=True, help="Least overlap of a found box with a true one.")
@click.option("--source", help="The source to score, of a record of several [default: the one TRUTH is named after].")
def score(record: Path, truth: Path, json_file: str | None, iou: float, source: str | None) -> None:
    """Compare RECORD (.jsonl, .csv or .parquet) with the truth file TRUTH."""
    result = compare(pick_source(read_record(record), truth, source), read_truth(truth), iou)
    text = json.dumps(result.to_dict(), indent=2)
    if json_file == "-":
        click.echo(text)
        return
    if json_file:
        try:
            Path(json_file).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise VidclfError(f"cannot write {json_file}: {error.strerror or error}") from None
    _print(result, f"{record.name} against {truth.name}, IoU >= {iou:g}")


def _print(result: Score, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    for name, words, meaning in LINES:
        table.add_row(words, _format(name, getattr(result, name)), meaning)
    Console().print(table)


def _format(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if name == "label_changes_per_minute" else f"{100 * value:.1f} %"
