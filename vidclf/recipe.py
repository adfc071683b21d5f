"""Pipeline files: a YAML list with one item per stage, each a constructor call, checked before anything is opened."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from vidclf.errors import UsageError, VidclfError
from vidclf.limits import did_you_mean
from vidclf.options import check_options, parameters_of, shortened, takes_list, type_hints, wants_text
from vidclf.pipeline import Pipeline, Stage
from vidclf.resources import shipped
from vidclf.stages import DETECTORS, STAGES

WRITERS = ("write", "record")  # a pipeline file may leave out their path
MOST_VALUES = 100_000  # in a pipeline file
LONGEST_NUMBER = 1000
SINKS = (*WRITERS, "publish", "serve", "display")  # can be added if the pipeline file does not have them


# Stages, and those that must not stand before them: what these find would come too late, or never.
NOT_BEFORE = {
    "gate": DETECTORS,
    "motion": ("track", "interpolate", "crop", "classify"),
    "yolo": ("track", "interpolate", "crop", "classify"),
    "track": ("interpolate", "smooth"),
    "interpolate": ("crop", "classify"),
    "crop": ("classify", "annotate"),  # what is drawn would be in the crops
    "classify": ("smooth",),
}


@dataclass(slots=True)
class Item:
    """One line of a pipeline file: a stage's name and its options."""

    name: str  # a built-in name, or module:Class
    options: dict[str, Any] = field(default_factory=dict)
    where: str = ""  # for errors: "pipelines/motion.yaml, item 2"
    folder: str = ""  # of the pipeline file, to find custom stages in; also needed in other processes

    def create(self) -> Stage:
        """Check the options against the constructor and call it; UsageError says which item and what is allowed."""
        constructor, options = self.check()
        try:
            stage = constructor(**options)
        except VidclfError as error:
            raise type(error)(f"{self.where}: {self.name}: {error}") from None
        except Exception as error:  # a custom stage
            raise UsageError(f"{self.where}: {self.name}: {type(error).__name__}: {error}") from error
        if not callable(stage):
            raise UsageError(
                f"{self.where}: {self.name} returns an object of type {type(stage).__name__}, which is not a stage"
            )
        return stage

    def check(self) -> tuple[Callable[..., Stage], dict[str, Any]]:
        """The constructor, and the options as it takes them; UsageError for one that does not fit."""
        _look_in(self.folder)
        constructor = find_stage(self.name, self.where)
        return constructor, check_options(constructor, self.options, f"{self.where}: {self.name}")


def load_recipe(name_or_path: str | Path) -> list[Item]:
    """Read a pipeline file, by path or by the name of a shipped one ("motion", "person.yaml")."""
    path = find_recipe(name_or_path)
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: not a pipeline file: nested too deeply") from None
    except Exception as error:  # PyYAML raises more than its own errors, such as KeyError for !!bool 3
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise UsageError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(content, list) or not content:
        raise UsageError(f"{path}: a pipeline file must be a list, with one item per stage")
    if _has_more(content, MOST_VALUES):
        raise UsageError(f"{path}: not a pipeline file: more than {MOST_VALUES} values")
    items = [parse_item(entry, f"{name_or_path}, item {number}") for number, entry in enumerate(content, start=1)]
    for item in items:
        if ":" in item.name:
            item.folder = str(path.parent.resolve())
            _look_in(item.folder)
    return items


def _has_more(content: Any, most: int) -> bool:
    """Whether there are more values in lists and mappings: a few lines with aliases can mean billions, or no end."""
    left = [content]
    while left and most >= 0:
        value = left.pop()
        most -= 1
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return most < 0


def read_yaml(text: str) -> Any:
    """Parse YAML's plain values, but keep whole numbers that begin with 0, which are octal in YAML 1.1, as text.

    The option's annotation decides about the text: a number is decimal, a token keeps its 0.
    """
    import yaml

    def whole(loader: Any, node: Any) -> Any:
        text = loader.construct_scalar(node)
        if len(text) > LONGEST_NUMBER:  # Python reads it, if it is hexadecimal, but does not print it
            raise ValueError(f"a number has more than {LONGEST_NUMBER} digits")
        return text if re.fullmatch("[-+]?0[0-9]+", text) else loader.construct_yaml_int(node)

    class Loader(yaml.SafeLoader): ...

    Loader.add_constructor("tag:yaml.org,2002:int", whole)
    return yaml.load(text, Loader)


def find_recipe(name_or_path: str | Path) -> Path:
    """Find a pipeline file by path, or by shipped name with or without .yaml; UsageError if there is none."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    folder = shipped("pipelines")
    named = folder / f"{path.name.removesuffix('.yaml')}.yaml"
    if named.is_file() and path.parent.name in ("", "pipelines"):
        return named
    names = sorted(p.stem for p in folder.glob("*.yaml"))
    hint = did_you_mean(path.name, names)
    raise UsageError(f"no such pipeline file: {name_or_path}{hint} (shipped: {', '.join(names)})")


def parse_item(entry: Any, where: str) -> Item:
    """Parse `name`, or `name: {option: value}`."""
    if isinstance(entry, str):
        return Item(entry, {}, where)
    if isinstance(entry, dict) and len(entry) == 1:
        name, options = next(iter(entry.items()))
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return Item(name, {_as_written(key): value for key, value in (options or {}).items()}, where)
    raise UsageError(f"{where}: write a stage as `name` or `name: {{option: value}}`, got {shortened(entry)}")


def _as_written(option: Any) -> Any:
    """The name of an option: in YAML 1.1, `on` and `off` are true and false."""
    return ("off", "on")[option] if isinstance(option, bool) else option


def override(items: list[Item], assignment: str) -> None:
    """Apply one `stage.option=value` to the items; UsageError if no stage has the name.

    The value is read as YAML, unless the option is text.
    """
    target, equals, text = assignment.partition("=")
    stage, dot, option = target.rpartition(".")
    if not equals or not dot or not option:
        raise UsageError(f"--set needs stage.option=value, got {assignment!r}")
    matching = _named(items, stage, f"--set {target}")
    try:
        value = read_yaml(text)
    except Exception:  # PyYAML raises more than its own errors, such as ValueError for 2025-02-30
        value = text
    for item in matching:
        kind = _kind_of(item, option)
        if not text.strip() and takes_list(kind):
            item.options[option] = []  # YAML reads empty text as null, which would be the default
        else:
            item.options[option] = text if wants_text(kind, value) else value


def _kind_of(item: Item, option: str) -> Any:
    """The annotation of an option; Any if it has none."""
    _look_in(item.folder)
    try:
        return type_hints(find_stage(item.name, item.where)).get(option, Any)
    except UsageError:  # reported when the stage is created
        return Any


def _named(items: list[Item], stage: str, asked: str) -> list[Item]:
    if matching := [item for item in items if item.name == stage]:
        return matching
    raise UsageError(f"{asked}: no stage {stage!r} here, only {', '.join(item.name for item in items)}")


def load_pipeline(name_or_path: str | Path, **options: dict[str, Any]) -> Pipeline:
    """Load a Pipeline from a pipeline file; keyword arguments are options by stage: `capture={"source": "in.mp4"}`.

    `write`, `record`, `publish`, `serve` and `display` are appended if the file does not have them. A `write` or
    `record` in the file is left out if it gets no path.
    Raises UsageError for any other stage that the file does not have, and for mistakes in the file.
    """
    items = load_recipe(name_or_path)
    for stage, values in options.items():
        if not isinstance(values, Mapping):
            raise UsageError(f"{name_or_path}: the options of {stage} must be a dict, got {values!r}")
        if stage in SINKS:
            append_missing(items, stage, str(name_or_path))
        for item in _named(items, stage, str(name_or_path)):
            item.options |= values
            if stage in WRITERS:
                item.options.setdefault("path", "")  # it was requested, so a missing path is an error
    return Pipeline([item.create() for item in to_run(items)])


def append_missing(items: list[Item], name: str, where: str) -> None:
    """Append a stage unless the items have it already. where: the origin of the request, for errors."""
    if not any(item.name == name for item in items):
        items.append(Item(name, {}, where))


def to_run(items: list[Item]) -> list[Item]:
    """The items without each `write` or `record` that has no path, and with a window last."""
    check_order(items)
    kept = [item for item in items if item.name not in WRITERS or "path" in item.options]
    for item in items:
        if item not in kept:
            item.check()  # nobody else would report a mistake in it
    return sorted(kept, key=lambda item: item.name == "display")  # needs the main thread, which runs the last stage


def check_order(items: list[Item]) -> None:
    """Raise UsageError for a built-in stage that stands before one whose work it needs."""
    first = {item.name: number for number, item in reversed([*enumerate(items)])}
    for name, later in NOT_BEFORE.items():
        for other in later:
            if name in first and first.get(other, len(items)) < first[name]:
                raise UsageError(f"{items[first[other]].where}: {other} must stand after {name}, not before it")


def find_stage(name: str, where: str = "") -> Callable[..., Stage]:
    """The class (or function that creates a stage) of a built-in name or `module:Class`."""
    place = f"{where}: " if where else ""
    if ":" not in name:
        if name not in STAGES:
            hint = did_you_mean(name, STAGES)
            choices = ", ".join(STAGES)
            raise UsageError(f"{place}unknown stage {name!r}{hint} (built in: {choices}; your own: module:Class)")
        name = STAGES[name]
    else:
        _look_in(str(Path.cwd()))
    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{place}cannot import {module!r}: {error}") from None
    except Exception as error:  # a custom module may raise anything when it is imported
        raise UsageError(f"{place}cannot import {module!r}: {type(error).__name__}: {error}") from error
    if not hasattr(found, attribute):
        file = getattr(found, "__file__", None)  # maybe it is an installed module of the same name
        raise UsageError(f"{place}module {module!r} has no {attribute!r}{f' ({file})' if file else ''}")
    if not callable(stage := getattr(found, attribute)):
        raise UsageError(f"{place}{name} is neither a class nor a function that creates a stage")
    try:
        parameters_of(stage)
    except (ValueError, TypeError):  # for example dict
        raise UsageError(f"{place}{name} cannot be a stage: its parameters are unknown to Python") from None
    return stage


def _look_in(folder: str) -> None:
    """Import from a folder, too, but after all others: a file there must not replace a package."""
    if folder and folder not in sys.path:
        sys.path.append(folder)
