"""The comparison: stages alone, the pipeline, and the loops that it replaces, interleaved in one process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from vidclf.bench.agree import Seen, agreement
from vidclf.bench.measure import Cost, by_turns, ratio, spread, summary
from vidclf.bench.others import OTHERS
from vidclf.bench.ours import Ours
from vidclf.bench.setting import Setting
from vidclf.errors import UsageError
from vidclf.memory import keep_warm
from vidclf.threads import cores, granted

Tell = Callable[[str], None]
# The loops read every picture in its size, and write it so, with the encoder's usual quality.
OURS_ALONE = {"capture": {"stride", "start", "size"}, "write": {"quality", "size", "fps", "segment", "only_when"}}
PIPELINE, SERIAL, CODECS, ALONE = "vidclf", "serial loop", "decode and encode", "each stage alone"


def compare(setting: Setting, repeat: int, tell: Tell, others: bool = True) -> dict[str, Any]:
    """Measure everything `repeat` times; returns plain values, ready for JSON. others: also loops of other libraries.

    Keys: setting, stages (each alone), contenders, ratios (of vidclf to each other contender), efficiency, and, with
    a detector that both sides share, agreement.
    """
    check_comparable(setting)
    share_limits()
    keep_warm()  # as `vidclf run` does; the loops have it, too
    ours = Ours(setting)
    is_person = setting.has("yolo")
    latest: dict[str, Any] = {}
    loops = _person_loops(setting, tell, others) if is_person else _motion_loops(setting)

    def run_ours() -> int:
        latest[PIPELINE], latest["stats"] = ours.run()
        return len(latest[PIPELINE])

    def run_loop(name: str, loop: Callable[[], list[Seen]]) -> int:
        latest[name] = loop()
        return len(latest[name])

    works: dict[str, Callable[[], int]] = {PIPELINE: run_ours, CODECS: ours.run_codecs}
    works |= {name: partial(run_loop, name, loop) for name, loop in loops.items()}
    sweeps: list[dict[str, Cost]] = []

    def sweep() -> int:
        sweeps.append(ours.sweep())
        return sum(cost.count for cost in sweeps[-1].values())

    works[ALONE] = sweep
    tell("warming up: running each contender once to load its models")
    for work in works.values():
        work()
    sweeps.clear()
    costs = by_turns(works, repeat, tell)
    del costs[ALONE]
    stages = {name: [sweep[name] for sweep in sweeps] for name in ours.names}
    found = {
        "setting": setting.describe(),
        "frames": len(latest[PIPELINE]),
        "objects_per_frame": round(sum(map(len, latest[PIPELINE])) / max(1, len(latest[PIPELINE])), 2),
        "stages": {name: summary(each) for name, each in stages.items()},
        "contenders": {name: summary(each) for name, each in costs.items()},
        "ratios": {name: ratio(costs[PIPELINE], each) for name, each in costs.items() if name != PIPELINE},
        "efficiency": efficiency(costs[PIPELINE], stages),
        "bottleneck": latest["stats"]["bottleneck"],
        "skipped": [name for name, package in OTHERS.items() if is_person and others and find_spec(package) is None],
    }
    if is_person:
        found["agreement"] = {name: agreement(latest[PIPELINE], latest[name]) for name in loops}
    return found


def check_comparable(setting: Setting) -> None:
    """Raise UsageError for an option that changes vidclf's work, but not that of the loops."""
    for item in setting.items:
        if given := sorted(OURS_ALONE.get(item.name, set()) & item.options.keys()):
            raise UsageError(f"{item.name}.{given[0]} would make the comparison unfair: the loops have no such option")


def share_limits() -> None:
    """What `--threads` allows vidclf holds for the loops, too; by default their libraries use every core."""
    if cores() < granted():
        import cv2
        import torch

        cv2.setNumThreads(cores())
        torch.set_num_threads(cores())


def _person_loops(setting: Setting, tell: Tell, others: bool) -> dict[str, Callable[[], list[Seen]]]:
    from vidclf.bench.loops import Person
    from vidclf.bench.others import other_loops

    person = Person(setting)
    if not others:
        return {SERIAL: person.run}
    for name, package in OTHERS.items():
        if find_spec(package) is None:
            tell(f"{name} is skipped: {package} is not installed")
    return {SERIAL: person.run, "YOLO.predict(stream=True)": person.run_stream, **other_loops(setting, person)}


def _motion_loops(setting: Setting) -> dict[str, Callable[[], list[Seen]]]:
    from vidclf.bench.loops import ReferencePicture

    return {SERIAL: ReferencePicture(setting).run}


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
