"""Runs assembled pipelines one after another, and merges the statistics of all."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from rich.console import Console

from vidclf.cli.closing import tell
from vidclf.cli.main import INTERRUPTED, report
from vidclf.cli.progress import ShowProgress
from vidclf.cli.signals import stop_on_signals
from vidclf.errors import UsageError, VidclfError
from vidclf.pipeline import Pipeline, unique
from vidclf.rates import Stats
from vidclf.recipe import Item
from vidclf.stages.serve import Serve
from vidclf.stats import add_up
from vidclf.trace import Trace

log = logging.getLogger(__name__)


def execute(
    jobs: list[list[Item]],
    console: Console,
    debug: bool = False,
    trace: Trace | None = None,
    latency_target: float | None = None,
) -> tuple[Stats, int]:
    """Run each list of items as a pipeline; all its captures run together. Returns the statistics and the exit code.

    All stages are created before the first pipeline runs, so that every mistake is reported before any work. If one
    of several fails, the error is reported and the others still run.
    """
    from vidclf.threads import describe, limit_opencv

    limit_opencv()
    log.debug("at most %s", describe())
    pipelines = _create(jobs, latency_target)
    for url in sorted({stage.url for pipeline in pipelines for stage in pipeline.stages if isinstance(stage, Serve)}):
        console.print(f"watch at {url}")
    finished: list[Stats] = []
    worst = 0
    for items, pipeline in zip(jobs, pipelines, strict=True):
        stats, code = _run_one(items, pipeline, console, trace, debug, is_only=len(jobs) == 1)
        if stats:
            finished.append(stats)
        worst = max(worst, code)
        if pipeline.stopped or code == INTERRUPTED:  # by Ctrl-C, or `q` in the window: start no further file
            break
    return _merge(finished), worst


def _create(jobs: list[list[Item]], latency_target: float | None) -> list[Pipeline]:
    """Create the pipelines; items that are alike share one stage, and so a loaded model."""
    from vidclf.memory import keep_flat, keep_warm

    made: dict[str, Any] = {}
    pipelines = []
    for items in jobs:
        captures = [item.create() for item in items if item.name == "capture"]
        keep = keep_flat if any(getattr(capture, "live", False) for capture in captures) else keep_warm
        keep()
        stages = []
        keys = unique([repr((item.name, item.options)) for item in items])  # one pipeline's twins are two stages
        for key, item in zip(keys, items, strict=True):
            if item.name != "capture":
                if key not in made:
                    made[key] = item.create()
                stages.append(made[key])
        if len(captures) > 1 and not stages:
            raise UsageError(f"{items[0].where.rpartition(', item')[0]}: several sources need a stage after them")
        pipelines.append(Pipeline([captures, *stages], latency_target=latency_target))
    return pipelines


def _run_one(
    items: list[Item], pipeline: Pipeline, console: Console, trace: Trace | None, debug: bool, is_only: bool
) -> tuple[Stats | None, int]:
    """Run a pipeline and say how it went. Returns its statistics, None if it failed, and its exit code.

    is_only: raise the exception of a run that fails, rather than report it.
    """
    show = ShowProgress(console, pipeline, _sources(items))
    try:
        with stop_on_signals(pipeline, console) as signals, show:
            stats = pipeline.run(show, trace)
    except Exception as error:
        if is_only:
            raise
        report(error, debug)
        return None, INTERRUPTED if signals else 1
    tell(stats, items, pipeline.stages, console)
    if pipeline.stopped and not pipeline.live:
        console.print(show.interrupted())
    code = _report_lost(stats)
    if signals and not pipeline.live:  # ending a live stream is its normal end
        code = INTERRUPTED
    return stats, code


def _sources(items: list[Item]) -> str:
    """The names of a pipeline's sources, without passwords."""
    from vidclf.video.address import redact

    captures = [item.options for item in items if item.name == "capture"]
    return ", ".join(str(options.get("name") or redact(str(options["source"]))) for options in captures)


def _report_lost(stats: Stats) -> int:
    """Report the sources that the run gave up on. Returns the exit code."""
    sources = stats.get("sources", {}).items()
    lost = [(name, entry["problem"]) for name, entry in sources if entry.get("state") == "given up"]
    for name, problem in lost:
        report(VidclfError(f"gave up on {name}: {problem}"), debug=False)
    return 1 if lost else 0


def _merge(runs: list[Stats]) -> Stats:
    """The statistics of several runs as one; those of a single run unchanged."""
    if len(runs) == 1:
        return runs[0]
    labels: Counter[str] = Counter()
    for stats in runs:
        labels.update(stats["labels"])
    ledger, wall = add_up(stats["ledger"] for stats in runs), sum(stats["wall_s"] for stats in runs)
    slowest = max(runs, key=lambda stats: stats["wall_s"], default={})
    return {
        "source": ", ".join(stats["source"] for stats in runs),
        "wall_s": round(wall, 3),
        "fps": round(ledger["finished"] / wall, 2) if wall else 0.0,
        "ledger": ledger,
        "detections": sum(stats["detections"] for stats in runs),
        "labels": dict(labels.most_common()),
        "bottleneck": slowest.get("bottleneck", ""),
        "stages": slowest.get("stages", []),
        "peak_rss_mb": max((stats["peak_rss_mb"] for stats in runs), default=0.0),
        "sources": {stats["source"]: stats["ledger"] for stats in runs},
    }
