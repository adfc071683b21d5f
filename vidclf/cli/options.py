"""Options that several commands share, and their types."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from math import isnan
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from vidclf.cli.assemble import DEFAULT_PIPELINE
from vidclf.errors import UsageError
from vidclf.models.backends import Backend
from vidclf.threads import MOST_CORES, set_threads


class Number(click.FloatRange):
    """A number in a range; nan, which is neither below nor above a limit, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if isnan(number):
            self.fail("nan is not a number", param, ctx)
        return number


class FilePath(click.Path):
    """A path, as click's own, that is not empty: from an unset variable of a shell, it would be the current folder."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not os.fspath(value):
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


# For commands without debug messages; `main` looks for it among the arguments.
DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")

# For commands about classifiers.
DATA = click.option(
    "--data",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="One folder of pictures per class (or train/CLASS and test/CLASS), or Fashion-MNIST's four .gz files. "
    "Default: Fashion-MNIST, downloaded into a cache.",
)
VERIFY = click.option("--verify/--no-verify", default=True, help="Verify the checksums of the data files.")
DEVICE = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N")

OPTIONS = [
    click.option(
        "-p",
        "--pipeline",
        default=DEFAULT_PIPELINE,
        show_default=True,
        help="A pipeline file, or the name of a shipped one.",
    ),
    click.option("--set", "settings", multiple=True, metavar="STAGE.OPTION=VALUE", help="Set one option; repeatable."),
    click.option("--record-frames", is_flag=True, help="Also record a row for every frame, with empty label columns."),
    click.option("--detector", type=click.Choice(["motion", "yolo"]), help="Replace the pipeline's detector."),
    click.option("--detector-weights", metavar="W", help="YOLO weights: a file, or an ultralytics name."),
    click.option("--weights", metavar="W", help="Classifier weights: a file, or a shipped name."),
    click.option(
        "--device", metavar="auto|cpu|cuda|cuda:N", help="Where the networks run; cuda:0,1: a detector on several GPUs."
    ),
    click.option(
        "--backend", type=click.Choice(get_args(Backend)), help="Runtime for the networks; auto: the fastest."
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, MOST_CORES),
        metavar="N",
        expose_value=False,
        callback=lambda _, __, count: None if count is None else set_threads(count),
        help="CPU cores to divide among the parts of a run; default: VIDCLF_THREADS, OMP_NUM_THREADS, or all.",
    ),
    click.option("--max-frames", type=click.IntRange(min=1), help="Stop after this many frames of each source."),
    click.option("--track", is_flag=True, help="Give every object a number that it keeps."),
    click.option("--smooth", is_flag=True, help="Label tracked objects by their average over time."),
    click.option("--detect-every", metavar="N|auto", help="Detect only on every N-th frame; interpolate in between."),
    click.option("--gate", is_flag=True, help="Skip detection on frames that show nothing new."),
    click.option(
        "--publish",
        metavar="URL",
        envvar="VIDCLF_PUBLISH",
        show_envvar=True,
        help="Send events to mqtt[s]:// or redis[s]://.",
    ),
    click.option("--force", is_flag=True, help="Overwrite existing outputs."),
    click.option("--quiet", is_flag=True, help="Print only errors."),
    click.option("--debug", is_flag=True, help="Show tracebacks and debug messages."),
]

# Options that users of ultralytics' own command line try, and what does the same here.
ELSEWHERE = {
    "--conf": "use --set yolo.confidence=0.4",
    "--iou": "use --set yolo.iou=0.7",
    "--imgsz": "use --set yolo.image_size=640",
    "--classes": "use --set yolo.classes=person,car (names, not numbers)",
    "--model": "use --detector-weights FILE",
    "--source": "name the source without an option",
}


def with_optional_value(flag: str, usual: str, pattern: re.Pattern[str]) -> type[click.Command]:
    """A command class whose option `flag` may be given without a value; the value is then `usual`.

    pattern: the next word is the value if it matches; otherwise it is an argument of the command.
    """

    class Command(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            pairs = zip(args, [*args, ""][1:], strict=True)
            words = [
                f"{flag}={usual}" if word == flag and not pattern.fullmatch(after) else word for word, after in pairs
            ]
            try:
                return super().parse_args(ctx, words)
            except click.NoSuchOption as error:
                if error.option_name not in ELSEWHERE:
                    raise
                raise click.UsageError(
                    f"No such option '{error.option_name}'; {ELSEWHERE[error.option_name]}", ctx
                ) from None

    return Command


def json_option(what: str) -> Callable[..., Any]:
    """`--json FILE`; the command passes it to `check_reports` before any work."""
    return click.option("--json", "json_file", type=FilePath(), metavar="FILE", help=what)


def given(option: str) -> bool:
    """Whether an option was given on the command line; the environment may set it for other runs."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def check_data(folder: Path | None) -> None:
    """Raise UsageError if `--data` does not name a folder."""
    if folder is not None and not folder.is_dir():
        ways = "leave --data out to download Fashion-MNIST, or name a folder with its four .gz files"
        raise UsageError(f"{folder}: no such folder; {ways}")


def with_options(options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A decorator below `@click.command()`: adds the options, in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


pipeline_options = with_options(OPTIONS)
