"""`vidclf stages`: lists and documents the stages a pipeline file can use."""

from __future__ import annotations

import inspect

import click
from rich.console import Console
from rich.table import Table

from vidclf.cli.options import DEBUG
from vidclf.options import describe, parameters_of
from vidclf.recipe import find_stage
from vidclf.stages import STAGES


@click.command()
@click.argument("names", nargs=-1, metavar="[STAGE...]")
@DEBUG
def stages(names: tuple[str, ...]) -> None:
    """List the stages a pipeline file can use; name some to see their full documentation.

    \b
    Examples:
      vidclf stages
      vidclf stages motion mypackage.blur:Blur
    """
    if names:
        for name in names:
            stage = find_stage(name, "vidclf stages")
            click.echo(f"{name}: {{{describe(parameters_of(stage))}}}\n")
            click.echo(f"    {(inspect.getdoc(stage) or 'not documented').replace(chr(10), chr(10) + '    ')}\n")
        return
    table = Table("stage", "what it does", "options")
    for name in STAGES:
        stage = find_stage(name)
        first = (inspect.getdoc(stage) or "").partition("\n\n")[0].replace("\n", " ")
        table.add_row(name, first, describe(parameters_of(stage)))
    Console(markup=False).print(table)
