"""Pipeline files: a YAML list, one item a stage, each a constructor call, checked before anything is opened."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from math import isnan
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vidclf.errors import UsageError, VidclfError
from vidclf.pipeline import Pipeline, Stage
from vidclf.resources import shipped
from vidclf.stages import STAGES

UNIONS = (Union, types.UnionType)
# What a list becomes, by the annotation's origin.
MANY: dict[Any, Callable[..., Any]] = {list: list, Sequence: list, Iterable: list, set: set, frozenset: frozenset}


@dataclass(slots=True)
class Item:
    """One line of a pipeline file: a stage's name and its options."""

    name: str  # a built-in name, or module:Class
    options: dict[str, Any] = field(default_factory=dict)
    where: str = ""  # for errors: "pipelines/motion.yaml, item 2"
    folder: str = ""  # of the pipeline file, where a stage of the user's own may lie; also in another process

    def create(self) -> Stage:
        """Check the options against the constructor and call it; UsageError says which item and what is allowed."""
        _look_in(self.folder)
        constructor = find_stage(self.name, self.where)
        options = check_options(constructor, self.options, f"{self.where}: {self.name}")
        try:
            return constructor(**options)
        except VidclfError as error:
            raise type(error)(f"{self.where}: {self.name}: {error}") from None
        except Exception as error:  # a stage of somebody's own
            raise UsageError(f"{self.where}: {self.name}: {type(error).__name__}: {error}") from error


def load_recipe(name_or_path: str | Path) -> list[Item]:
    """Read a pipeline file, by path or by the name of a shipped one ("motion", "person.yaml")."""
    import yaml

    path = find_recipe(name_or_path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        raise UsageError(f"{path}{line}: not valid YAML: {problem}") from None
    if not isinstance(content, list) or not content:
        raise UsageError(f"{path}: a pipeline file is a list of stages, one item a stage")
    items = [parse_item(entry, f"{name_or_path}, item {number}") for number, entry in enumerate(content, start=1)]
    for item in items:
        if ":" in item.name:
            item.folder = str(path.parent.resolve())
            _look_in(item.folder)
    return items


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a path, or of a shipped name with or without .yaml; UsageError where there is neither."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    folder = shipped("pipelines")
    named = folder / f"{path.name.removesuffix('.yaml')}.yaml"
    if named.is_file() and path.parent.name in ("", "pipelines"):
        return named
    names = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    raise UsageError(f"no such pipeline file: {name_or_path} (shipped: {names})")


def parse_item(entry: Any, where: str) -> Item:
    """`name`, or `name: {option: value}`."""
    if isinstance(entry, str):
        return Item(entry, {}, where)
    if isinstance(entry, dict) and len(entry) == 1:
        name, options = next(iter(entry.items()))
        if isinstance(name, str) and (options is None or isinstance(options, dict)):
            return Item(name, dict(options or {}), where)
    raise UsageError(f"{where}: write a stage as `name` or `name: {{option: value}}`, got {entry!r}")


def override(items: list[Item], assignment: str) -> None:
    """Apply one `stage.option=value` to the items; UsageError if no stage has the name.

    The value is read as YAML, unless the option is a text: a token of 0123 is no octal number.
    """
    import yaml

    target, equals, text = assignment.partition("=")
    stage, dot, option = target.rpartition(".")
    if not equals or not dot or not option:
        raise UsageError(f"--set wants stage.option=value, got {assignment!r}")
    matching = _named(items, stage, f"--set {target}")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # the second: 2025-02-30
        value = text
    for item in matching:
        item.options[option] = text if _wants_text(item, option, value) else value


def _wants_text(item: Item, option: str, value: Any) -> bool:
    """Whether an option is a text or a path, and what YAML made of it is not, nor a null that it may be."""
    _look_in(item.folder)
    try:
        kind = type_hints(find_stage(item.name, item.where)).get(option)
    except UsageError:  # it is told when the stage is made
        return False
    kinds = get_args(kind) if get_origin(kind) in UNIONS else (kind,)
    fits = isinstance(value, str) or (value is None and types.NoneType in kinds)
    return not fits and all(kind in (str, Path, types.NoneType) for kind in kinds)


def _named(items: list[Item], stage: str, asked: str) -> list[Item]:
    if matching := [item for item in items if item.name == stage]:
        return matching
    raise UsageError(f"{asked}: no stage {stage!r} here; {', '.join(item.name for item in items)}")


def load_pipeline(name_or_path: str | Path, **options: dict[str, Any]) -> Pipeline:
    """A Pipeline from a pipeline file; keyword arguments are more options by stage: `capture={"source": "in.mp4"}`.

    Raises UsageError for a stage that is not there, and for what is wrong in the file.
    """
    items = load_recipe(name_or_path)
    for stage, values in options.items():
        for item in _named(items, stage, str(name_or_path)):
            item.options |= values
    return build(items)


def build(items: Iterable[Item]) -> Pipeline:
    """Make the stages and join them."""
    return Pipeline([item.create() for item in items])


def find_stage(name: str, where: str = "") -> Callable[..., Stage]:
    """The class (or function that makes a stage) behind a built-in name or `module:Class`."""
    place = f"{where}: " if where else ""
    if ":" not in name:
        if name not in STAGES:
            guess = get_close_matches(name, STAGES, 1)
            hint = f"; did you mean {guess[0]}?" if guess else ""
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
    except Exception as error:  # a module of somebody's own: whatever it does on being imported
        raise UsageError(f"{place}cannot import {module!r}: {type(error).__name__}: {error}") from error
    if not hasattr(found, attribute):
        raise UsageError(f"{place}module {module!r} has no {attribute!r}")
    if not callable(stage := getattr(found, attribute)):
        raise UsageError(f"{place}{name} is no class, nor a function that makes a stage")
    return stage


def _look_in(folder: str) -> None:
    """Import from a folder, too, but behind all others: a file there shall not pass for a package of ours."""
    if folder and folder not in sys.path:
        sys.path.append(folder)


def check_options(constructor: Callable[..., Any], options: dict[str, Any], where: str) -> dict[str, Any]:
    """The options, converted to the annotated types of the constructor; UsageError names the one that does not fit."""
    parameters = parameters_of(constructor)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = type_hints(constructor)
    checked = {}
    for name, value in options.items():
        if name not in parameters and not open_ended:
            guess = get_close_matches(str(name), parameters, 1)
            hint = f"; did you mean {guess[0]}?" if guess else ""
            raise UsageError(f"{where} has no option {name!r}{hint} (it takes {describe(parameters)})")
        try:
            checked[name] = convert(value, hints.get(name, Any))
        except ValueError as wanted:
            raise UsageError(f"{where}: {name} must be {wanted}, got {value!r}") from None
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in checked
    ]
    if missing:
        raise UsageError(f"{where} needs {', '.join(missing)}")
    return checked


def parameters_of(constructor: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The options a stage takes, by name."""
    if sys.version_info >= (3, 14):  # it evaluates annotations here, and a name may be there for type checkers alone
        from annotationlib import Format

        return inspect.signature(constructor, annotation_format=Format.FORWARDREF).parameters
    return inspect.signature(constructor).parameters


def type_hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a class's constructor, or of a function; none where they cannot be resolved."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return get_type_hints(function)
    except (NameError, AttributeError, TypeError):
        return {}


def describe(parameters: Mapping[str, inspect.Parameter]) -> str:
    """The options a stage takes, as they would be written: `min_area=0.003, history=500`."""
    shown = (name if p.default is p.empty else f"{name}={p.default}" for name, p in parameters.items())
    return ", ".join(shown) or "none"


def convert(value: Any, kind: Any) -> Any:
    """`value` as YAML gave it, as `kind`; ValueError says in words what was wanted."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is inspect.Parameter.empty:
        return value
    if origin in UNIONS:
        if value is None and type(None) in arguments:
            return None
        wanted = []
        for choice in (a for a in arguments if a is not type(None)):
            try:
                return convert(value, choice)
            except ValueError as error:
                wanted.append(str(error))
        raise ValueError(" or ".join(wanted))
    if origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"one of {', '.join(map(str, arguments))}")
    if make := tuple if origin is tuple and arguments[1:] == (Ellipsis,) else MANY.get(origin):
        entries = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(entries, (list, tuple, set, frozenset)):
            raise ValueError("a list")
        return make(convert(entry, arguments[0] if arguments else Any) for entry in entries)
    if origin is tuple:
        return _convert_tuple(value, arguments)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)  # also of a text: to YAML, 1e-3 is one
            if not isnan(number):
                return number
    if kind is str and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind in (bool, int, float, str, Path):
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
        raise ValueError(names[kind])
    try:
        if isinstance(value, origin or kind):
            return value
    except TypeError:  # a NewType, a TypedDict, ...: nothing to check by
        return value
    raise ValueError(f"a {(origin or kind).__name__}")


def _convert_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A fixed number of values; two whole numbers may be written as 640x360."""
    if isinstance(value, str) and arguments == (int, int) and value.lower().count("x") == 1:
        value = [int(part) if part.strip().isdigit() else part for part in value.lower().split("x")]
    if not isinstance(value, (list, tuple)) or len(value) != len(arguments):
        wanted = "WIDTHxHEIGHT" if arguments == (int, int) else f"a list of {len(arguments)}"
        raise ValueError(wanted)
    return tuple(convert(entry, kind) for entry, kind in zip(value, arguments, strict=True))
