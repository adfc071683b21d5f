"""`vidclf run`: runs sources through a pipeline, with progress, a closing table and statistics."""

from __future__ import annotations

import os
import re
from glob import glob
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click
from click.core import ParameterSource

from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.console import make_console, set_up_logging
from vidclf.cli.execute import execute, outputs
from vidclf.cli.json_file import traced, write_json
from vidclf.cli.live import live_options, live_outputs, refuse_same_names, side_by_side, split_name, together
from vidclf.cli.only_when import check_awaited
from vidclf.cli.options import FilePath, pipeline_options, with_optional_value
from vidclf.cli.reports import check_reports, files_read, identity
from vidclf.errors import UsageError
from vidclf.recipe import Item, find_recipe
from vidclf.stages.serve import LISTEN, PORT
from vidclf.stdout import STDOUT
from vidclf.units import to_seconds
from vidclf.video.address import is_url, redact, refuse_url

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
@click.option("--token", envvar="VIDCLF_TOKEN", help="Secret for the page; required if other machines can reach it.")
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
    wanted = {"--record": record, "--stats": stats_file, "--trace": trace}
    if len(sharing := [flag for flag, path in wanted.items() if path == STDOUT]) > 1:
        raise UsageError(f"{' and '.join(sharing)} cannot share stdout; write all but one of them to a file")
    if output == STDOUT:
        raise UsageError("-o -: a video cannot go to stdout; name a file (out.mp4) or a folder (FOLDER/)")
    for path in filter(None, (output, *wanted.values())):
        refuse_url(path)
    target = None if latency_target is None else to_seconds(latency_target, "--latency-target")
    named = [split_name(source) for source in sources]
    sources = tuple(source for _, source in named)
    several = len(sources) > 1
    jobs: list[list[Item]] = []
    if together(sources):
        items = assemble(RunOptions(**options), sources[0], *live_outputs(sources, output, record))
        jobs.append(side_by_side(items, named))
    else:
        for name, source in named:
            video = _file_for(name or source, output, ".mp4", several)
            table = _file_for(name or source, record, ".jsonl", several)
            items = assemble(RunOptions(**options), source, video, table)
            items[0].options |= {"name": name} if name else {}
            jobs.append(items)
        if several:
            _must_be_there(sources)
    refuse_same_names(_captures(jobs))
    _refuse_same_outputs(sources, jobs)
    inputs = [(f"the source {source}", file) for source in sources for file in _files_of(source)]
    inputs += [("the pipeline file", find_recipe(options["pipeline"])), *files_read(jobs[0])]
    written = [path for items in jobs for path in outputs(items)]
    check_reports({"--stats": stats_file, "--trace": trace}, inputs, written, force=options["force"])
    for item in (item for items in jobs for item in items if item.name == "write"):
        if item.options.get("segment") or item.options.get("only_when"):
            _refuse_cutting_over(sources, Path(str(item.options["path"])))
    if _given("token") and not any(item.name == "serve" for items in jobs for item in items):
        raise UsageError("--token is for the web page; add --serve")
    for_live = next((name for name in FOR_LIVE if _given(name)), None)
    if for_live and not any(getattr(item.create(), "live", False) for item in _captures(jobs)):
        raise UsageError(f"--{for_live.replace('_', '-')} is for live sources; {FOR_LIVE[for_live]}")
    if options["record_frames"] and record is None:
        raise UsageError("--record-frames is for the record; name its file with --record")
    check_awaited(jobs[0])  # the other jobs differ in their sources and outputs alone
    with traced(trace) as notes:
        stats, code = execute(jobs, console, debug, notes, target)
    if stats_file:
        write_json(stats, stats_file)
    return code


def _must_be_there(sources: tuple[str, ...]) -> None:
    """Report a mistyped file among several now rather than when its turn comes."""
    for source in sources:
        is_there = os.path.exists(source)  # noqa: PTH110 - Path.exists fails for a name that is too long
        if not (is_there or is_url(source) or re.search(r"[*?%\[]", source)):
            raise UsageError(f"no such file: {source}")


def _refuse_same_outputs(sources: tuple[str, ...], jobs: list[list[Item]]) -> None:
    """Raise UsageError if two sources that run one after the other have the same output, and say what to do."""
    taken: dict[Path, str] = {}
    for source, paths in zip(sources, map(outputs, jobs), strict=False):  # live sources are one job
        for path in paths:
            if path in taken:
                ways = "name them (NAME=URL)" if is_url(source) else "run each with its own -o, or use vidclf batch"
                both = f"{redact(taken[path])} and {redact(source)}"
                raise UsageError(f"{both} would both be written to {path}; {ways}")
        taken |= dict.fromkeys(paths, source)


def _file_for(source: str, target: str | None, suffix: str, several: bool) -> Path | None:
    """The output file for one source: the target itself, or a file named after the source in the target folder."""
    path = None if target is None else Path(target)
    is_folder = path is not None and (str(target).endswith(("/", os.sep)) or path.is_dir())
    if path is None or not (several or is_folder):
        return path
    if target == STDOUT:
        raise UsageError("several sources cannot share stdout; name a folder")
    if path.suffix and not is_folder:
        raise UsageError(f"several sources need a folder for their outputs, got {path}")
    return path / f"{_stem_of(source)}{suffix}"


def _stem_of(source: str) -> str:
    """The stem of a source's outputs: the file's name, a URL's without its query, or a pattern's folder."""
    if "://" in source:
        source = re.split(r"[?#]", source, maxsplit=1)[0]
    elif re.search(r"[*?%\[]", source) and not Path(source).exists():
        return Path(source).absolute().parent.name or "pictures"
    return Path(source.rstrip("/").rpartition("/")[2] or source).stem or "source"


def _captures(jobs: list[list[Item]]) -> list[Item]:
    return [item for items in jobs for item in items if item.name == "capture"]


def _given(option: str) -> bool:
    """Whether an option was given on the command line; the environment may set it for other runs."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _refuse_cutting_over(sources: tuple[str, ...], path: Path) -> None:
    """Raise UsageError if a part of a cut video could get a source's name: `cam-000010.mp4` from `cam.mp4`."""
    for source in sources:
        file = _file_of(source)
        mine = re.fullmatch(rf"{re.escape(path.stem)}-\d.*", file.stem) and file.suffix.lower() == path.suffix.lower()
        if mine and file.exists() and identity(file.parent) == identity(path.parent):
            raise UsageError(f"the parts of {path} could overwrite the source {source}; write to another folder")


def _files_of(source: str) -> list[Path]:
    """The file of a source, or the pictures that its pattern (*.jpg, %04d.jpg) matches."""
    file = _file_of(source)
    is_pattern = "://" not in source and re.search(r"[*?%\[]", source) and not os.path.exists(source)  # noqa: PTH110
    return [Path(name) for name in glob(re.sub(r"%\d*d", "*", source))] if is_pattern else [file]  # noqa: PTH207


def _file_of(source: str) -> Path:
    return Path(url2pathname(urlsplit(source).path) if source.lower().startswith("file://") else source)
