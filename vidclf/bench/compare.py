"""The comparison: stages alone, the pipeline, and the loops that it replaces, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from vidclf.bench.agree import Seen, agreement
from vidclf.bench.apart import LoopProcess
from vidclf.bench.measure import Cost, by_turns, cost_of, ratio, spread, summary
from vidclf.bench.others import OTHERS
from vidclf.bench.ours import Ours
from vidclf.bench.setting import Setting
from vidclf.errors import UsageError
from vidclf.memory import keep_warm
from vidclf.threads import granted

Tell = Callable[[str], None]
# The loops read every picture in its size, name every object, and write with the encoder's usual quality.
OURS_ALONE = {
    "capture": {"stride", "start", "size"},
    "yolo": {"max_objects"},
    "classify": {"abstain", "hold"},
    "write": {"quality", "size", "fps", "segment", "only_when", "backend"},
}
PIPELINE, CODECS, ALONE = "vidclf", "decode and encode", "each stage alone"


def compare(setting: Setting, repeat: int, tell: Tell, others: bool = True) -> dict[str, Any]:
    """Measure everything `repeat` times; returns plain values, ready for JSON. others: also loops of other libraries.

    Keys: setting, stages (each alone), contenders, ratios (of vidclf to each other contender), efficiency, skipped
    (other libraries that are not installed), and, with a detector that both sides share, agreement.
    """
    check_comparable(setting)
    is_person = setting.has("yolo")
    skipped = [name for name, package in OTHERS.items() if is_person and others and find_spec(package) is None]
    for name in skipped:
        tell(f"{name} is skipped: {OTHERS[name]} is not installed")
    with LoopProcess(setting, others) as loops:
        keep_warm()  # as `vidclf run` does; in this process alone
        ours = Ours(setting)
        stats: dict[str, Any] = {}
        seen: dict[str, list[Seen]] = {}
        sweeps: list[dict[str, Cost]] = []

        def run_ours() -> int:
            nonlocal stats
            seen[PIPELINE], stats = ours.run()
            return len(seen[PIPELINE])

        def run_loop(name: str) -> Cost:
            cost, seen[name] = loops.run(name)
            return cost

        def sweep() -> int:
            sweeps.append(ours.sweep())
            return sum(cost.count for cost in sweeps[-1].values())

        rounds = {PIPELINE: partial(cost_of, run_ours), CODECS: partial(cost_of, ours.run_codecs)}
        rounds |= {name: partial(run_loop, name) for name in loops.names}
        rounds[ALONE] = partial(cost_of, sweep)
        tell("warming up: running each contender once to load its models")
        for each in rounds.values():
            each()
        sweeps.clear()
        costs = by_turns(rounds, repeat, tell)
    del costs[ALONE]
    stages = {name: [sweep[name] for sweep in sweeps] for name in ours.names}
    frames = seen[PIPELINE]
    found = {
        "setting": setting.describe(),
        "frames": len(frames),
        "objects_per_frame": round(sum(map(len, frames)) / max(1, len(frames)), 2),
        "stages": {name: summary(each) for name, each in stages.items()},
        "contenders": {name: summary(each) for name, each in costs.items()},
        "ratios": {name: ratio(costs[PIPELINE], each) for name, each in costs.items() if name != PIPELINE},
        "efficiency": efficiency(costs[PIPELINE], stages),
        "bottleneck": stats["bottleneck"],
        "skipped": skipped,
    }
    if is_person:
        found["agreement"] = {name: agreement(frames, seen[name]) for name in loops.names}
    return found


def check_comparable(setting: Setting) -> None:
    """Raise UsageError for an option that changes vidclf's work, but not that of the loops."""
    for item in setting.items:
        if given := sorted(OURS_ALONE.get(item.name, set()) & item.options.keys()):
            raise UsageError(f"{item.name}.{given[0]} would make the comparison unfair: the loops have no such option")


def efficiency(pipeline: list[Cost], stages: dict[str, list[Cost]]) -> dict[str, Any]:
    """The pipeline's wall time over its lower bound: the slowest stage alone, or all CPU work over all cores."""
    slowest, alone = max(
        ((name, spread([cost.wall / cost.count for cost in costs])["median"]) for name, costs in stages.items()),
        key=lambda pair: pair[1],
    )
    bounds = [max(alone * cost.count, cost.cpu / granted()) for cost in pipeline]
    return {
        "slowest_stage": slowest,
        "slowest_stage_ms": 1000 * alone,
        "wall_over_bound": spread([cost.wall / bound for cost, bound in zip(pipeline, bounds, strict=True)]),
    }
