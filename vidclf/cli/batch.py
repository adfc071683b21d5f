"""`vidclf batch`: turns every clip in a folder into an annotated video and a record; a second run resumes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from vidclf.batch.clips import SUFFIXES, Order, find_clips, must_exist
from vidclf.batch.configuration import fingerprints
from vidclf.batch.driver import Batch, Workers
from vidclf.batch.events import as_json
from vidclf.batch.job import PER_CLIP
from vidclf.batch.outdir import OutDir
from vidclf.batch.plan import Settings
from vidclf.batch.workers import Processes, default_jobs
from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.batch_progress import ShowBatch, closing_lines, failures
from vidclf.cli.console import make_console, set_up_logging
from vidclf.cli.duration import Duration
from vidclf.cli.json_file import write_json
from vidclf.cli.main import INTERRUPTED
from vidclf.cli.options import FilePath, Number, given, json_option, pipeline_options, with_optional_value
from vidclf.cli.reports import check_reports, files_read
from vidclf.cli.signals import stop_on_signals
from vidclf.errors import UsageError, VidclfError
from vidclf.recipe import WRITERS, Item, find_recipe

FAILED_CLIPS = 3
VIEWERS = ("serve", "display")  # a page has one port and a window one main thread, and a batch has several workers
ADDRESS = re.compile(r"local|auto|ray://.+|[\w.-]+:\d+")


class Command(with_optional_value("--ray", "local", ADDRESS)):  # type: ignore[misc]
    """Explains where records go if --record is given a file name, as in `vidclf run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = "--record" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if named and "unexpected extra argument" in error.message:
                hint = "records are written below OUTDIR; --record takes no file name"
                raise click.UsageError(f"{error.message}; {hint}", ctx) from None
            raise


@click.command(cls=Command)
@click.argument("folder", type=FilePath(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outdir",
    required=True,
    type=FilePath(),
    metavar="OUTDIR",
    help="Folder for results, or s3://, gs://.",
)
@click.option(
    "--ext", multiple=True, metavar="mp4,mov", help="Only clips with these suffixes; default: all video suffixes."
)
@click.option("--include", "--glob", multiple=True, metavar="PATTERN", help="Only clips that match; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out clips that match; repeatable.")
@click.option(
    "--order", type=click.Choice(get_args(Order)), default="name", show_default=True, help="Which clips come first."
)
@click.option("--video/--no-video", default=True, help="Write an annotated video of each clip (default: yes).")
@click.option("--record/--no-record", default=True, help="Write a record of each clip (default: yes).")
@click.option(
    "--table", type=click.Choice(["parquet", "csv", "none"]), default="parquet", show_default=True,
    help="Also write all records to one file.",
)  # fmt: skip
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Worker processes, one clip each; default: half the cores, at most two per GPU.",
)
@click.option(
    "--retry", type=click.IntRange(min=0), default=2, show_default=True, help="Retries after temporary errors."
)
@click.option("--retry-failed", is_flag=True, help="Retry clips that failed in an earlier run.")
@click.option("--timeout", type=Duration(least=1), default="10m", show_default=True, metavar="TIME",
              help="Give up on a clip that has produced no frame for this long; not with --ray.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Keep running and process files as they arrive, until Ctrl-C.")
@click.option("--settle", type=Duration(least=0), default="5s", show_default=True, metavar="TIME",
              help="With --watch: a file is complete when it has not changed for this long.")  # fmt: skip
@click.option("--ray", metavar="[ADDRESS]", help="Run on a Ray cluster; without an address, start one here.")
@click.option("--cpus", type=Number(min=0), metavar="N", help="With --ray: CPUs to request per worker.")
@click.option("--gpus", type=Number(min=0), metavar="N", help="With --ray: GPUs to request per worker.")
@json_option("Write a report of the run; - is stdout.")
@pipeline_options
def batch(
    folder: Path, outdir: str, watch: bool, json_file: str | None, quiet: bool, debug: bool, **options: Any
) -> int:
    """Run every clip below FOLDER through a pipeline; write a video and a record each, under the same path in OUTDIR.

    Run again, the command skips finished clips and processes those that are new, changed or were interrupted. A clip
    that cannot be processed is listed with the reason and does not stop the others; the exit code is then 3.
    --force processes everything again.

    \b
    Examples:
      vidclf batch clips -o results
      vidclf batch clips -o results --jobs 4 --ext mp4,mov --exclude "old/*" -p person
      vidclf batch incoming -o results --watch
      vidclf batch clips -o s3://bucket/results --ray head:6379 --gpus 0.5
    """
    console = make_console(quiet)
    set_up_logging(console, debug)
    names = RunOptions.__dataclass_fields__
    chosen = RunOptions(**{name: value for name, value in options.items() if name in names})
    must_exist(folder)  # do not create a results folder for a mistyped name
    _check_options(watch, options)
    with OutDir(outdir, folder) as results:
        items = _items(chosen, results, options["video"], options["record"])
        inputs = [("the pipeline file", find_recipe(chosen.pipeline)), *files_read(items)]
        check_reports({"--json": json_file}, inputs, folders=[folder, results.root], force=chosen.force)
        again = options["retry_failed"]
        settings = Settings(
            folder, fingerprints(items), options["retry"], chosen.force, again, watch, options["settle"]
        )
        find = partial(
            find_clips, folder, _suffixes(options["ext"]), options["include"], options["exclude"], options["order"],
            results.root,
        )  # fmt: skip
        found = [find()]  # complain about the folder before anything is started
        if not (watch or found[0].clips or found[0].problems):
            console.print(f"warning: no clips found below {folder} (see --ext, --include and --exclude)")
        table = options["table"] if options["record"] else "none"
        with _workers(items, results, options) as workers, ShowBatch(console) as show:
            conclude = partial(results.conclude, table)
            run = Batch(
                settings, lambda: found.pop() if found else find(), results.manifest, results.storage, workers,
                tell=show, when_idle=conclude, save=results.save,
            )  # fmt: skip
            try:
                with stop_on_signals(run, console, "the running clips"):
                    report = run.run()
            except BaseException:
                with suppress(VidclfError):  # report the first error, not this one
                    conclude(run.problems)
                raise
            conclude(run.problems)
        if json_file:
            write_json(as_json(report) | {"outdir": outdir}, json_file)
    for line in closing_lines(report, outdir):
        console.print(line)
    for line in failures(report):
        click.echo(line, err=True)
    if report.interrupted and not watch:  # Ctrl-C is the normal end of --watch
        return INTERRUPTED
    return FAILED_CLIPS if report.failed else 0


def _check_options(watch: bool, options: dict[str, Any]) -> None:
    """Raise UsageError for an option that would do nothing."""
    if given("settle") and not watch:
        raise UsageError("--settle is for files that arrive; add --watch")
    if given("timeout") and options["ray"]:
        raise UsageError("--timeout cannot be used with --ray")
    if (options["cpus"] is not None or options["gpus"] is not None) and not options["ray"]:
        raise UsageError("--cpus and --gpus need --ray")
    if not options["record"] and (options["record_frames"] or (given("table") and options["table"] != "none")):
        raise UsageError("--no-record leaves nothing for --record-frames or --table")


def _items(options: RunOptions, results: OutDir, video: bool, record: bool) -> list[Item]:
    """The checked items of the pipeline; each clip fills in its source and outputs."""
    if not (video or record):
        raise UsageError("--no-video and --no-record together leave nothing to write")
    name = results.root / "clip"
    unwanted = {kind for kind, wanted in (("write", video), ("record", record)) if not wanted}
    items = assemble(options, "clip", name.with_suffix(".mp4"), name.with_suffix(".jsonl"))
    items = [item for item in items if item.name not in unwanted]
    if viewer := next((item.name for item in items if item.name in VIEWERS), None):
        raise UsageError(f"a batch has no viewers, but {options.pipeline} has the stage {viewer}; use vidclf run")
    for kind in WRITERS:
        if sum(item.name == kind for item in items) > 1:
            raise UsageError(f"a batch writes one {kind} per clip, but {options.pipeline} has several")
    for kind, option in (("write", "segment"), ("write", "only_when"), ("record", "segment")):
        if any(item.options.get(option) for item in items if item.name == kind):
            what = "video" if kind == "write" else kind
            raise UsageError(f"a batch writes one {what} per clip, but {kind}.{option} makes several; use vidclf run")
    for item in items:  # created for each clip; report a mistake here, so that it is not taken for a clip's failure
        if item.name in PER_CLIP:
            replace(item, options=item.options | ({"force": True} if item.name in WRITERS else {})).create()
    return items


def _suffixes(given: tuple[str, ...]) -> set[str]:
    return {suffix for text in given for suffix in text.replace(" ", "").split(",") if suffix} or SUFFIXES


@contextmanager
def _workers(items: list[Item], results: OutDir, options: dict[str, Any]) -> Iterator[Workers]:
    """Local worker processes, or Ray's; closed in any case."""
    workers: Workers
    if options["ray"]:
        from vidclf.batch.cluster import RayWorkers

        wish = {name: options[name] for name in ("jobs", "cpus", "gpus", "retry")}
        workers = RayWorkers(items, results.storage, options["ray"], **wish)
    else:
        jobs = options["jobs"] or default_jobs(items)
        workers = Processes(items, results.storage, jobs, options["timeout"])
    try:
        yield workers
    finally:
        workers.close()
