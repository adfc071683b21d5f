"""A stage's options: read from its constructor's signature, described in words, checked and converted."""

from __future__ import annotations

import inspect
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import isnan
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vidclf.errors import UsageError
from vidclf.limits import did_you_mean

UNIONS = (Union, types.UnionType)
# The type that a list is converted to, by the annotation's origin.
MANY: dict[Any, Callable[..., Any]] = {list: list, Sequence: list, Iterable: list, set: set, frozenset: frozenset}
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}  # in words


def check_options(constructor: Callable[..., Any], options: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert the options to the constructor's annotated types; UsageError names one that does not fit."""
    parameters = parameters_of(constructor)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = type_hints(constructor)
    checked = {}
    for name, value in options.items():
        if name not in parameters and not open_ended:
            hint = did_you_mean(str(name), parameters)
            raise UsageError(f"{where} has no option {name!r}{hint} (it takes {describe(parameters)})")
        try:
            checked[name] = convert(value, hints.get(name, Any))
        except ValueError as wanted:
            raise UsageError(f"{where}: {name} must be {wanted}, got {shortened(value)}") from None
    missing = [
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in checked
    ]
    if missing:
        raise UsageError(f"{where} needs {', '.join(missing)}")
    return checked


def shortened(value: Any) -> str:
    """A value as text for an error, shortened: a few lines of YAML can be a value with billions of entries."""
    short = Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 100, 100
    try:
        return short.repr(value)
    except ValueError:  # a number with more digits than Python converts
        return f"a long {type(value).__name__}"


def parameters_of(constructor: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The options a stage takes, by name."""
    if sys.version_info >= (3, 14):  # it evaluates annotations here, but some names exist only for type checkers
        from annotationlib import Format

        return inspect.signature(constructor, annotation_format=Format.FORWARDREF).parameters
    return inspect.signature(constructor).parameters


def type_hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a class's constructor, or of a function; none if they cannot be resolved."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    try:
        return get_type_hints(function)
    except Exception:  # evaluating them can raise anything, such as a SyntaxError for '3 4'
        return {}


def describe(parameters: Mapping[str, inspect.Parameter]) -> str:
    """The options a stage takes, as they would be written: `min_area=0.003, history=500`."""
    shown = (name if p.default is p.empty else f"{name}={p.default}" for name, p in parameters.items())
    return ", ".join(shown) or "none"


def wants_text(kind: Any, value: Any) -> bool:
    """Whether an annotation is text or a path, but YAML's value is neither text nor an allowed null."""
    kinds = _alternatives(kind)
    fits = isinstance(value, str) or (value is None and types.NoneType in kinds)
    return not fits and all(kind in (str, Path, types.NoneType) for kind in kinds)


def takes_list(kind: Any) -> bool:
    """Whether an annotation is a list or a set, or may be one."""
    return any((get_origin(each) or each) in MANY for each in _alternatives(kind))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in UNIONS else (kind,)


def convert(value: Any, kind: Any) -> Any:
    """Convert `value`, as YAML returned it, to `kind`; ValueError says in words what is wanted."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is inspect.Parameter.empty:
        return value
    if isinstance(kind, type) and kind in PLAIN:
        return _convert_plain(value, kind)
    if origin in UNIONS:
        return _convert_union(value, arguments)
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
    try:
        if isinstance(value, origin or kind):
            return value
    except TypeError:  # a NewType, a TypedDict, ...: cannot be checked
        return value
    raise ValueError(f"a {(origin or kind).__name__}")


def _convert_plain(value: Any, kind: type) -> Any:
    is_text, is_true_or_false = isinstance(value, str), isinstance(value, bool)
    is_number = isinstance(value, (int, float)) and not is_true_or_false
    if kind is bool and is_true_or_false:
        return value
    if kind is int and isinstance(value, int) and not is_true_or_false:
        return value
    if kind is int and is_text and re.fullmatch("[-+]?[0-9]+", value):
        with suppress(ValueError):  # more digits than Python converts
            return int(value)  # for example 010, which is octal to YAML
    if kind is float and (is_number or is_text):
        with suppress(ValueError, OverflowError):
            number = float(value)  # also from text: to YAML, 1e-3 is text
            if not isnan(number):
                return number
    if kind is str and (is_number or is_text):
        return str(value)
    if kind in (str, Path) and isinstance(value, (str, os.PathLike)) and isinstance(path := os.fspath(value), str):
        return kind(path)
    raise ValueError(PLAIN[kind])


def _convert_union(value: Any, choices: tuple[Any, ...]) -> Any:
    """Convert `value` to the first of the choices that fits."""
    if value is None and types.NoneType in choices:
        return None
    wanted = []
    for choice in (each for each in choices if each is not types.NoneType):
        try:
            return convert(value, choice)
        except ValueError as error:
            wanted.append(str(error))
    raise ValueError(" or ".join(wanted))


def _convert_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A fixed number of values; two whole numbers may be written as 640x360."""
    is_size = isinstance(value, str) and arguments == (int, int)
    if is_size and (sides := re.fullmatch(r"\s*([0-9]{1,9})\s*[xX]\s*([0-9]{1,9})\s*", value)):
        value = [int(side) for side in sides.groups()]
    if not isinstance(value, (list, tuple)) or len(value) != len(arguments):
        wanted = "WIDTHxHEIGHT" if arguments == (int, int) else f"a list of {len(arguments)}"
        raise ValueError(wanted)
    return tuple(convert(entry, kind) for entry, kind in zip(value, arguments, strict=True))
