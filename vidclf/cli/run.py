"""`vidclf run`: runs sources through a pipeline, with progress, a closing table and statistics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from vidclf.cli.assemble import RunOptions
from vidclf.cli.console import make_console, set_up_logging
from vidclf.cli.execute import execute
from vidclf.cli.jobs import captures, expanded, make_jobs, outputs
from vidclf.cli.json_file import traced, write_json
from vidclf.cli.live import live_options, split_name
from vidclf.cli.only_when import check_awaited
from vidclf.cli.options import FilePath, given, pipeline_options, with_optional_value
from vidclf.cli.reports import check_reports, files_of, files_read, refuse_cutting_over, refuse_same_outputs
from vidclf.errors import UsageError
from vidclf.recipe import Item, find_recipe
from vidclf.stages.serve import LISTEN, PORT
from vidclf.stdout import STDOUT
from vidclf.units import to_seconds
from vidclf.video.address import refuse_url

# Options that do nothing for a recording, and why.
FOR_LIVE = {
    "latency_target": "a recording can wait",
    "give_up_after": "a recording can wait",
    "keep": "files made from a recording are kept",
    "keep_size": "files made from a recording are kept",
}


@click.command(cls=with_optional_value("--serve", f"127.0.0.1:{PORT}", LISTEN))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", type=FilePath(), metavar="PATH", help="Annotated video, or a folder for it (FOLDER/).")
@click.option(
    "--record", type=FilePath(), metavar="PATH", help="Table of detections: .jsonl, .csv, .parquet; - is stdout."
)
@click.option(
    "--stats", "stats_file", type=FilePath(), metavar="FILE.json", help="Write the run's statistics; - is stdout."
)
@click.option(
    "--trace", type=FilePath(), metavar="FILE.json", help="Write a timeline of the run, for Perfetto; - is stdout."
)
@click.option("--display", is_flag=True, help="Show a window: q quits, space pauses, s saves, n relearns the scene.")
@click.option("--serve", metavar="[[HOST:]PORT]", help=f"Show a web page, at 127.0.0.1:{PORT} by default.")
@click.option(
    "--token",
    envvar="VIDCLF_TOKEN",
    show_envvar=True,
    help="Secret for the page; required if other machines can reach it.",
)
@click.option("--realtime", is_flag=True, help="Play files at their own speed, for viewing.")
@live_options
@pipeline_options
def run(
    sources: tuple[str, ...],
    output: str | None,
    record: str | None,
    stats_file: str | None,
    trace: str | None,
    latency_target: str | None,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> int:
    """Turn a video into an annotated video and a table of detections.

    SOURCE is a file, a URL (rtsp, http, ...), a camera's number, or a pattern of pictures ('frames/*.jpg').
    Several files run one after another; -o and --record are then folders. Several live sources run together; -o is
    then a folder; name them with NAME=URL. Write TIME as 500ms, 90s, 10m or 7d, and SIZE as 500M or 50G.

    \b
    Examples:
      vidclf run in.mp4 -o out.mp4 --record out.jsonl
      vidclf run in.mp4 -o out.mp4 -p person --detector-weights yolo11n.pt --set yolo.confidence=0.4
      vidclf run door=rtsp://cam1/a yard=rtsp://cam2/b -o recordings --segment 10m --keep 7d --serve
      vidclf run in.mp4 --realtime --display
    """
    console = make_console(quiet)
    set_up_logging(console, debug)
    reports = {"--stats": stats_file, "--trace": trace}
    _check_targets(output, {"--record": record} | reports)
    target = None if latency_target is None else to_seconds(latency_target, "--latency-target")
    chosen = RunOptions(**options)
    named = expanded([split_name(source) for source in sources])
    jobs = make_jobs(named, output, record, chosen)
    _check_files([source for _, source in named], jobs, reports, chosen)
    _check_options(jobs, chosen)
    check_awaited(jobs[0])  # the other jobs differ in their sources and outputs alone
    with traced(trace) as notes:
        stats, code = execute(jobs, console, debug, notes, target)
    if stats_file:
        write_json(stats, stats_file)
    return code


def _check_targets(output: str | None, others: dict[str, str | None]) -> None:
    """Raise UsageError for outputs that cannot go to stdout, or to a URL. others: by their options."""
    if len(sharing := [flag for flag, path in others.items() if path == STDOUT]) > 1:
        raise UsageError(f"{' and '.join(sharing)} cannot share stdout; write all but one of them to a file")
    if output == STDOUT:
        raise UsageError("-o -: a video cannot go to stdout; name a file (out.mp4) or a folder (FOLDER/)")
    for path in filter(None, (output, *others.values())):
        refuse_url(path)


def _check_files(
    sources: Sequence[str], jobs: list[list[Item]], reports: dict[str, str | None], options: RunOptions
) -> None:
    """Raise UsageError if an output or a report would replace a source, another input or another output."""
    written = [outputs(items) for items in jobs]
    refuse_same_outputs(sources, written)
    inputs = [(f"the source {source}", file) for source in sources for file in files_of(source)]
    inputs += [("the pipeline file", find_recipe(options.pipeline)), *files_read(jobs[0])]
    check_reports(reports, inputs, chain.from_iterable(written), force=options.force)
    for item in (item for items in jobs for item in items if item.name == "write"):
        if item.options.get("segment") or item.options.get("only_when"):
            refuse_cutting_over(sources, Path(str(item.options["path"])))


def _check_options(jobs: list[list[Item]], options: RunOptions) -> None:
    """Raise UsageError for an option that would do nothing in these jobs."""
    if given("token") and not any(item.name == "serve" for items in jobs for item in items):
        raise UsageError("--token is for the web page; add --serve")
    for_live = next((name for name in FOR_LIVE if given(name)), None)
    if for_live and not any(getattr(item.create(), "live", False) for item in captures(jobs)):
        raise UsageError(f"--{for_live.replace('_', '-')} is for live sources; {FOR_LIVE[for_live]}")
    if options.record_frames and not any(item.name == "record" for items in jobs for item in items):
        raise UsageError("--record-frames is for the record; name its file with --record")
