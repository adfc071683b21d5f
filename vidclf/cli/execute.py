"""Runs assembled pipelines one after another: progress, Ctrl-C, closing tables, and the statistics of all."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TextIO

from rich.console import Console

from vidclf.cli.main import INTERRUPTED, report
from vidclf.cli.progress import ShowProgress, closing_lines, closing_table
from vidclf.errors import UsageError, VidclfError
from vidclf.files import Made, PartFile
from vidclf.interrupt import ECHO_SECONDS
from vidclf.pipeline import Pipeline, unique
from vidclf.recipe import Item
from vidclf.stats import add_up
from vidclf.stdout import STDOUT, needs_ascii, stdout
from vidclf.trace import Trace

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
# Built-in stages that save or show results; a custom stage (module:Class) may do so, too.
KEEPERS = {"write", "record", "save-crops", "publish", "serve", "display"}


def execute(
    jobs: list[list[Item]],
    console: Console,
    debug: bool = False,
    trace: Trace | None = None,
    latency_target: float | None = None,
) -> tuple[dict[str, Any], int]:
    """Run each list of items as a pipeline; all its captures run together. Returns the statistics and the exit code.

    All stages are created before the first pipeline runs, so that every mistake is reported before any work. If one
    of several sources fails, the error is reported and the others still run.
    """
    from vidclf.memory import keep_flat
    from vidclf.threads import describe, limit_opencv
    from vidclf.video.address import redact

    limit_opencv()
    logging.getLogger(__name__).debug("at most %s", describe())
    made: dict[str, Any] = {}  # items that are alike share one stage, and so a loaded model
    pages: set[str] = set()
    pipelines = []
    for items in jobs:
        captures = [item.create() for item in items if item.name == "capture"]
        if any(getattr(capture, "live", False) for capture in captures):
            keep_flat()
        keys = unique([repr((item.name, item.options)) for item in items])  # one pipeline's twins are two stages
        rest = [(key, item) for key, item in zip(keys, items, strict=True) if item.name != "capture"]
        for key, item in rest:
            if key not in made:
                made[key] = item.create()
        stages = [made[key] for key, _ in rest]
        if len(captures) > 1 and not stages:
            raise UsageError(f"{items[0].where.rpartition(', item')[0]}: several sources need a stage after them")
        pipelines.append(Pipeline([captures, *stages], latency_target=latency_target))
        pages |= {stage.url for stage, (_, item) in zip(stages, rest, strict=True) if item.name == "serve"}
    for url in sorted(pages):
        console.print(f"watch at {url}")
    books: list[dict[str, Any]] = []
    code = 0
    for items, pipeline in zip(jobs, pipelines, strict=True):
        source = ", ".join(
            str(item.options.get("name") or redact(str(item.options["source"])))
            for item in items
            if item.name == "capture"
        )
        try:
            show = ShowProgress(console, pipeline, source)
            with stop_on_signals(pipeline, console, hangup=True) as stopped, show:
                stats = pipeline.run(show, trace)
        except Exception as error:
            if len(jobs) == 1:
                raise
            report(error, debug)
            code = 1
            if pipeline.stopped:
                return merge(books), INTERRUPTED if stopped else code
            continue
        books.append(stats)
        tell(stats, items, pipeline.stages, console)
        if pipeline.stopped and not pipeline.live:
            console.print(show.interrupted())
        for name, each in stats.get("sources", {}).items():
            if each.get("state") == "given up":
                report(VidclfError(f"gave up on {name}: {each['problem']}"), debug=False)
                code = 1
        if stopped:
            # Ending a live stream is its normal end.
            return merge(books), code if pipeline.live else INTERRUPTED
        if pipeline.stopped:  # `q` in the window: start no further file
            break
    return merge(books), code


def tell(stats: dict[str, Any], items: list[Item], stages: Sequence[Any], console: Console) -> None:
    """Print the closing table of one run, its statistics in words, and the files it wrote."""
    console.print(closing_table(stats, console.width), soft_wrap=False)
    for line in closing_lines(stats):
        console.print(line)
    for item, stage in zip((item for item in items if item.name != "capture"), stages, strict=True):
        if item.name in ("write", "record") and str(item.options["path"]) != STDOUT:
            if not (line := written(stage.made)):
                line = f"nothing was written to {Path(str(item.options['path']))}{never_seen(item, stats)}"
            console.print(line)
        elif item.name == "save-crops":
            console.print(f"{'wrote' if stage.counts['saved'] else 'nothing was written to'} {stage.folder}")
    if not any(":" in item.name or item.name in KEEPERS for item in items):
        console.print("nothing was saved: use -o OUT.mp4 for a video, --record OUT.jsonl for a table")


def written(made: Made) -> str:
    """The files that a stage has written, in words; empty if there is none."""
    if made.files < 2:
        return f"wrote {made.latest}" if made.latest else ""
    assert made.latest
    length = f", {made.seconds:.0f} s" if made.seconds else ""
    return f"wrote {made.latest.parent}{os.sep}: {made.files} files{length}, the latest is {made.latest.name}"


def never_seen(item: Item, stats: dict[str, Any]) -> str:
    """Explain why no event was recorded: what was awaited, and which labels were seen instead."""
    wanted = item.options.get("only_when")
    if not wanted:
        return ""
    seen = ", ".join(label for label in stats["labels"] if label) or "none"
    return f": {wanted if isinstance(wanted, str) else ','.join(map(str, wanted))} was never seen; labels seen: {seen}"


def outputs(items: list[Item]) -> list[Path]:
    """The files that a pipeline's stages will write."""
    paths = (str(item.options["path"]) for item in items if item.name in ("write", "record"))
    return [Path(path) for path in paths if path != STDOUT]


class Stoppable(Protocol):
    """A run that can be asked to end."""

    def stop(self) -> None: ...


@contextmanager
def stop_on_signals(
    run: Stoppable, console: Console, inside: str = "the frames in progress", hangup: bool = False
) -> Iterator[list[int]]:
    """The first Ctrl-C (or SIGTERM) asks the run to stop after what is `inside`; the second aborts.

    A signal that follows within `ECHO_SECONDS` counts as the same one. Yields the list of signals received so far.
    hangup: stop when the terminal is closed, too, unless SIGHUP is ignored, as under nohup; it never aborts. Not for a
    batch: its workers die of it.
    """
    came: list[int] = []
    latest = 0.0

    def handle(number: int, _: object) -> None:
        nonlocal latest
        if number == HANGUP:
            console.quiet = True  # every attempt to write to a closed terminal would fail
        if came and (number == HANGUP or monotonic() - latest < ECHO_SECONDS):
            return
        latest = monotonic()
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt
        run.stop()
        console.print(f"stopping: finishing {inside}; press Ctrl-C again to abort")

    signals = [signal.SIGINT, signal.SIGTERM]
    if hangup and HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
        signals.append(HANGUP)
    before = [signal.signal(number, handle) for number in signals]
    try:
        yield came
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def traced(target: str | None) -> Iterator[Trace | None]:
    """A trace to pass to `execute`; written to `target` afterwards, even if the run failed. None without a target."""
    if target is None:
        yield None
        return
    trace = Trace()
    try:
        yield trace
    finally:
        with opened(target) as file:
            trace.write(file)


def make_console(quiet: bool = False) -> Console:
    """The console on stderr for progress and messages. File names are shown as they are: brackets are not markup."""
    return Console(stderr=True, quiet=quiet, markup=False, highlight=False, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Log messages on the console that also shows the progress, each on one line."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        self._console.print(line)


def set_up_logging(console: Console, debug: bool) -> None:
    """Log our messages to the console; debug messages only with `debug`."""
    logger = logging.getLogger("vidclf")
    logger.handlers = [ConsoleHandler(console)]
    logger.setLevel(logging.DEBUG if debug else logging.INFO)


def merge(books: list[dict[str, Any]]) -> dict[str, Any]:
    """The statistics of several runs as one; those of a single run unchanged."""
    if len(books) == 1:
        return books[0]
    labels: Counter[str] = Counter()
    for stats in books:
        labels.update(stats["labels"])
    ledger, wall = add_up(stats["ledger"] for stats in books), sum(stats["wall_s"] for stats in books)
    slowest = max(books, key=lambda stats: stats["wall_s"], default={})
    return {
        "source": ", ".join(stats["source"] for stats in books),
        "wall_s": round(wall, 3),
        "fps": round(ledger["finished"] / wall, 2) if wall else 0.0,
        "ledger": ledger,
        "detections": sum(stats["detections"] for stats in books),
        "labels": dict(labels.most_common()),
        "bottleneck": slowest.get("bottleneck", ""),
        "stages": slowest.get("stages", []),
        "peak_rss_mb": max((stats["peak_rss_mb"] for stats in books), default=0.0),
        "sources": {stats["source"]: stats["ledger"] for stats in books},
    }


@contextmanager
def opened(target: str) -> Iterator[TextIO]:
    """A text file to write, complete or not at all; `-` is stdout."""
    if target == STDOUT:
        with stdout() as file:
            yield file
        return
    with PartFile(target, force=True) as part, part.open("w", encoding="utf-8") as file:
        yield file


def write_json(content: Any, target: str) -> None:
    """Write to a file, complete or not at all; `-` is stdout."""
    with opened(target) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=needs_ascii(file)) + "\n")
