"""Tells before a run whether what a recording waits for can occur in its pipeline at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vidclf.errors import UsageError
from vidclf.limits import did_you_mean
from vidclf.recipe import Item

ANY = "any"
SHOWN = 20  # names in a message


def check_awaited(items: Sequence[Item]) -> None:
    """Raise UsageError for a kind or label in `only_when` that no stage can give: it would cost a whole recording."""
    waiting = [item for item in items if item.name == "write" and item.options.get("only_when")]
    if not waiting or (known := possible_names(items)) is None:
        return
    for item in waiting:
        stage: Any = item.create()
        unknown = sorted(stage.plan.only_when - {ANY} - {name.lower() for name in known})
        if unknown:
            raise UsageError(f"{item.where}: write: only_when: {_refusal(unknown[0], known, items)}")


def possible_names(items: Sequence[Item]) -> set[str] | None:
    """The kinds and labels that the stages can give to a detection; None if that cannot be known."""
    from vidclf.models.checkpoint import read_header

    if any(":" in item.name for item in items):
        return None  # a stage of the user's own may call things what it likes
    names: set[str] = set()
    for item in items:
        if item.name == "motion":
            names.add("motion")
        elif item.name == "yolo":
            kinds = _kinds_of(item)
            if kinds is None:
                return None
            names |= kinds
        elif item.name == "classify":
            stage: Any = item.create()
            names |= set(read_header(stage.weights)["labels"])
    return names


def _kinds_of(item: Item) -> set[str] | None:
    """What a YOLO detector can find; None if all classes of a model are wanted whose file does not list them."""
    from vidclf.models.class_names import read_names
    from vidclf.models.ultralytics_model import find_weights
    from vidclf.stages.yolo import USUAL

    stage: Any = item.create()
    if stage.classes:
        return set(stage.classes)
    path = find_weights(stage.weights)
    names = read_names(path)
    if stage.classes is None and (not path.exists() or (names and USUAL in names.values())):
        return {USUAL}  # a published model, still to be downloaded, knows persons
    return set(names.values()) if names else None


def _refusal(name: str, known: set[str], items: Sequence[Item]) -> str:
    choices = [ANY, *sorted(known)]
    advice = did_you_mean(name, choices)
    if not advice and any(item.name == "motion" for item in items):
        advice = "; motion has no kinds of objects, a YOLO detector (-p person, -p detect) has"
    shown = ", ".join(choices[:SHOWN]) + (f", ...; {len(choices)} in all" if len(choices) > SHOWN else "")
    return f"nothing can be called {name!r} in this pipeline{advice} (possible: {shown})"
