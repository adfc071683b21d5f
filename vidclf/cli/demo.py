"""`vidclf demo`: runs the shipped sample through the default pipeline and scores the result."""

from __future__ import annotations

from pathlib import Path

import click

from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.console import make_console, set_up_logging
from vidclf.cli.execute import execute
from vidclf.cli.options import FilePath
from vidclf.resources import shipped


@click.command()
@click.option(
    "-o",
    "--output",
    type=FilePath(path_type=Path),
    default="demo-output",
    show_default=True,
    help="Folder to write to.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def demo(output: Path, debug: bool) -> int:
    """Run the shipped sample clip through the default pipeline, offline, and score the result.

    \b
    Example:
      vidclf demo
    """
    from vidclf.cli.score import table
    from vidclf.scoring import score_files

    console = make_console()
    set_up_logging(console, debug)
    sample = shipped("samples") / "wardrobe.mp4"
    video, record = output / "wardrobe.mp4", output / "wardrobe.jsonl"
    items = assemble(RunOptions(force=True), str(sample), video, record)
    if code := execute([items], console, debug)[1]:
        return code
    console.print(table(score_files(record, sample.with_suffix(".truth.jsonl"))), soft_wrap=False)
    return 0
