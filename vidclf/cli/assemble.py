"""Turns the options of `run` into the items of a pipeline: the pipeline file first, then the options' changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError
from vidclf.recipe import WRITERS, Item, append_missing, load_recipe, override, to_run
from vidclf.stages import DETECTORS

CUTS = ("segment", "keep", "keep_size", "only_when", "pre_roll", "post_roll")  # options of write
DEFAULT_PIPELINE = "motion"  # needs no download


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run` (and of every command that runs pipelines), except sources and outputs."""

    pipeline: str = DEFAULT_PIPELINE
    settings: tuple[str, ...] = ()
    detector: str | None = None
    detector_weights: str | None = None
    weights: str | None = None
    device: str | None = None
    backend: str | None = None
    max_frames: int | None = None
    record_frames: bool = False
    force: bool = False
    publish: str | None = None
    track: bool = False
    smooth: bool = False
    detect_every: str | None = None
    gate: bool = False
    serve: str | None = None
    token: str | None = None
    display: bool = False
    realtime: bool = False
    give_up_after: str | None = None
    segment: str | None = None
    keep: str | None = None
    keep_size: str | None = None
    only_when: str | None = None
    pre_roll: str | None = None
    post_roll: str | None = None


def assemble(options: RunOptions, source: str, output: Path | str | None, record: Path | None) -> list[Item]:
    """The items of one run, in order. A `write` or `record` without a path is left out."""
    items = load_recipe(options.pipeline)
    if items[0].name != "capture":
        raise UsageError(f"{items[0].where}: the first stage must be capture, got {items[0].name}")
    _choose_detector(items, options)
    _follow(items, options)
    _give(items, "capture", "SOURCE", source=source, max_frames=options.max_frames)
    _give(items, "capture", "--give-up-after", give_up_after=options.give_up_after, realtime=options.realtime or None)
    if options.weights is not None:
        _give(items, "crop", "--weights", like=options.weights)
        _give(items, "classify", "--weights", weights=options.weights)
    for name, value in (("device", options.device), ("backend", options.backend)):
        for item in items:
            if value is not None and item.name in ("yolo", "classify"):
                item.options[name] = value
    _add_outputs(items, options, output, record)
    for assignment in options.settings:
        override(items, assignment)
    for item in items:  # also those whose path is in the pipeline file
        if item.name in WRITERS and options.force:
            item.options["force"] = True
        if item.name == "record" and options.record_frames:
            item.options["frames"] = True
    _agree(items, options)
    return to_run(items)


def _add_outputs(items: list[Item], options: RunOptions, output: Path | str | None, record: Path | None) -> None:
    """Direct `write` and `record` to their paths, and append the outputs that are asked for and missing."""
    if output is not None:
        append_missing(items, "write", "-o")
        _direct(items, "write", str(output))
    cuts = {name: value for name in CUTS if (value := getattr(options, name)) is not None}
    if cuts:
        if not any(item.name == "write" and "path" in item.options for item in items):
            raise UsageError(f"--{next(iter(cuts)).replace('_', '-')} is for recordings; name the output with -o")
        _give(items, "write", "--segment", **cuts)
    if record is not None:
        append_missing(items, "record", "--record")
        _direct(items, "record", str(record))
    if options.publish is not None:
        _give_or_append(items, "publish", "--publish", url=options.publish)
    if options.serve is not None:
        _give_or_append(items, "serve", "--serve", address=options.serve)
    for item in items:
        if item.name == "serve" and options.token is not None:
            item.options["token"] = options.token
    if options.display:
        _give_or_append(items, "display", "--display")


def _agree(items: list[Item], options: RunOptions) -> None:
    """Check and complete what depends on other options, also on those of the pipeline file and of --set."""
    rolls = [name for name in ("pre_roll", "post_roll") if getattr(options, name) is not None]
    if rolls and not any(item.options.get("only_when") for item in items if item.name == "write"):
        raise UsageError(f"--{rolls[0].replace('_', '-')} is for events; choose them with --only-when")
    abstain = [item.options["abstain"] for item in items if item.name == "classify" and "abstain" in item.options]
    for item in (item for item in items if item.name == "smooth" and abstain):
        item.options.setdefault("abstain", abstain[-1])  # otherwise smooth would label what classify left unlabelled


def _choose_detector(items: list[Item], options: RunOptions) -> None:
    """Replace the pipeline file's detector by the requested one, and set its weights."""
    present = [item for item in items if item.name in DETECTORS]
    if options.detector is not None:
        if not present:
            raise UsageError(f"--detector {options.detector}: the pipeline {options.pipeline} has no detector")
        for item in present:
            if item.name != options.detector:
                item.name, item.options = options.detector, {}
    if options.detector_weights is not None:
        if "yolo" not in (item.name for item in present):
            raise UsageError("--detector-weights is for yolo; add --detector yolo or -p person")
        _give(items, "yolo", "--detector-weights", weights=options.detector_weights)


def _follow(items: list[Item], options: RunOptions) -> None:
    """Insert the stages that follow objects over time, each in its place, unless the pipeline has them already."""
    names = [item.name for item in items]
    detect_every = options.detect_every is not None
    flags = {"--detect-every": detect_every, "--gate": options.gate, "--track": options.track}
    if options.smooth:
        if "classify" not in names:
            raise UsageError(f"--smooth: the pipeline {options.pipeline} has no stage 'classify'")
        _put(items, "smooth", after=["classify"], flag="--smooth")
    flag = next((flag for flag, value in flags.items() if value), "--smooth" if options.smooth else None)
    if flag is None:
        return
    if not set(DETECTORS) & set(names):
        raise UsageError(f"{flag}: the pipeline {options.pipeline} has no detector")
    if options.track or options.smooth or detect_every:
        _put(items, "track", after=DETECTORS, flag=flag)
    if detect_every or options.gate:
        said = options.detect_every
        every = int(said) if said and said.isdecimal() else said
        _put(items, "gate", after=["capture"], flag=flag, every=1)
        _give(items, "gate", flag, every=every, still=options.gate or None)
        _put(items, "interpolate", after=[*DETECTORS, "track"], flag=flag)


def _put(items: list[Item], name: str, after: Sequence[str], flag: str, **options: Any) -> None:
    """Insert a stage after the last of the stages named in `after`, unless the pipeline has it already."""
    if not any(item.name == name for item in items):
        items.insert(1 + max(i for i, item in enumerate(items) if item.name in after), Item(name, options, flag))


def _give(items: list[Item], name: str, flag: str, **values: Any) -> None:
    matching = [item for item in items if item.name == name]
    if not matching:
        raise UsageError(f"{flag}: the pipeline has no stage {name!r}")
    for item in matching:
        item.options |= {key: value for key, value in values.items() if value is not None}


def _give_or_append(items: list[Item], name: str, flag: str, **values: Any) -> None:
    append_missing(items, name, flag)
    _give(items, name, flag, **values)


def _direct(items: list[Item], name: str, path: str) -> None:
    """Make the stages called `name` write to `path`: those that have no path yet, or all if every one has a path."""
    matching = [item for item in items if item.name == name]
    for item in [item for item in matching if "path" not in item.options] or matching:
        item.options["path"] = path
