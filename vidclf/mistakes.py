"""Explains what is wrong with an object that was given as a stage but is not one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

A_STAGE = "a stage takes an iterable of frames and yields frames"


def checked(stages: Iterable[Any]) -> list[Any]:
    """Return the items of a pipeline; TypeError if one cannot be a stage, or a list of stages."""
    if isinstance(stages, (str, os.PathLike)):
        raise TypeError(f"a pipeline needs a list of stages, got {stages!r}; use load_pipeline for a pipeline file")
    if not isinstance(stages, Iterable):
        raise TypeError(f"a pipeline needs a list of stages, got {described(stages)}")
    items = list(stages)
    for number, item in enumerate(items, start=1):
        is_list = isinstance(item, Sequence) and not isinstance(item, str)
        for stage in item if is_list else [item]:
            _check(stage, f"item {number} of the pipeline")
    return items


def _check(stage: Any, place: str) -> None:
    if isinstance(stage, type) and not hasattr(stage, "__iter__"):  # an iterable class is created with the frames
        name = stage.__name__
        raise TypeError(f"{place} is the class {name}; use an object: {name}(...)")
    if callable(stage):
        return
    why = "it cannot be called"
    if isinstance(stage, (str, os.PathLike)):
        why = "use an object, like Capture('in.mp4') or Motion()"
    elif isinstance(stage, Iterator):
        why = "pass the function itself, without calling it"
    raise TypeError(f"{place} is {described(stage)}, which is not a stage: {why}")


def frames_of(given: Any, name: str) -> Iterator[Any]:
    """The iterator over what a stage returned; TypeError if it is not iterable."""
    try:
        return iter(given)
    except TypeError:
        if isinstance(given, Iterable):
            raise  # its own __iter__ failed
        raise TypeError(f"stage {name!r} returned {described(given)}; {A_STAGE}") from None


def no_frame(given: Any, name: str) -> TypeError:
    """The error for a stage that yielded something other than a frame."""
    return TypeError(f"stage {name!r} yielded {described(given)}, which is not a Frame; {A_STAGE}")


def no_picture(image: Any, name: str) -> TypeError | None:
    """The error for a stage whose frame has a picture of another kind; None for one that all stages understand."""
    shape, kind = getattr(image, "shape", None), str(getattr(image, "dtype", None))
    if shape is not None and len(shape) == 3 and shape[2] == 3 and kind == "uint8":
        return None
    got = described(image) if shape is None else f"{shape} {kind}"
    return TypeError(f"stage {name!r}: a frame's image must be (height, width, 3) uint8, in BGR; got {got}")


def takes_one_frame(error: BaseException, inbox: object, name: str) -> TypeError | None:
    """The error for a stage that used its stream of frames like a frame; None if `error` is of another kind."""
    if isinstance(error, (AttributeError, TypeError)) and f"{type(inbox).__name__!r} object" in str(error):
        return TypeError(f"stage {name!r}: {error}; {A_STAGE}, and does not take a single frame")
    return None


def described(thing: Any) -> str:
    """Describe an object briefly: texts and numbers by value, everything else by type."""
    if thing is None or isinstance(thing, (str, int, float, os.PathLike)):
        return repr(thing)
    kind = type(thing).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
