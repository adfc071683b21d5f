"""Runs assembled pipelines one after another, and merges the statistics of all."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from vidclf.cli.closing import tell
from vidclf.cli.main import INTERRUPTED, report
from vidclf.cli.progress import ShowProgress
from vidclf.cli.signals import stop_on_signals
from vidclf.errors import UsageError, VidclfError
from vidclf.pipeline import Pipeline, unique
from vidclf.recipe import Item
from vidclf.stats import add_up
from vidclf.stdout import STDOUT
from vidclf.trace import Trace


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


def outputs(items: list[Item]) -> list[Path]:
    """The files that a pipeline's stages will write."""
    paths = (str(item.options["path"]) for item in items if item.name in ("write", "record"))
    return [Path(path) for path in paths if path != STDOUT]


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
