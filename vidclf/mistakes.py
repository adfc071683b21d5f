"""Says what is wrong with something that was given as a stage and is none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

A_STAGE = "a stage takes an iterable of frames and yields frames"


def checked(stages: Iterable[Any]) -> list[Any]:
    """The items of a pipeline; TypeError unless they can be stages, or lists of stages."""
    if isinstance(stages, (str, os.PathLike)):
        raise TypeError(f"a pipeline needs a list of stages, got {stages!r}; load_pipeline takes a file's name")
    if not isinstance(stages, Iterable):
        raise TypeError(f"a pipeline needs a list of stages, got {described(stages)}")
    items = list(stages)
    for number, item in enumerate(items, start=1):
        is_list = isinstance(item, Sequence) and not isinstance(item, str)
        for stage in item if is_list else [item]:
            _check(stage, f"item {number} of the pipeline")
    return items


def _check(stage: Any, place: str) -> None:
    if isinstance(stage, type) and not hasattr(stage, "__iter__"):  # one made with the frames gives them by iteration
        name = stage.__name__
        raise TypeError(f"{place} is the class {name}; a stage is an object: {name}(...)")
    if callable(stage):
        return
    why = "it cannot be called"
    if isinstance(stage, (str, os.PathLike)):
        why = "a stage is an object, like Capture('in.mp4') or Motion()"
    elif isinstance(stage, Iterator):
        why = "give the function itself, without calling it"
    raise TypeError(f"{place} is {described(stage)}, which is not a stage: {why}")


def frames_of(given: Any, name: str) -> Iterator[Any]:
    """The iterator over what a stage returned; TypeError where there is none."""
    try:
        return iter(given)
    except TypeError:
        if isinstance(given, Iterable):
            raise  # its own __iter__ failed
        raise TypeError(f"stage {name!r} returned {described(given)}; {A_STAGE}") from None


def no_frame(given: Any, name: str) -> TypeError:
    """What to raise where a stage yielded something else than a frame."""
    return TypeError(f"stage {name!r} yielded {described(given)}, which is not a Frame; {A_STAGE}")


def takes_one_frame(error: BaseException, inbox: object, name: str) -> TypeError | None:
    """What to raise where a stage used its stream of frames like a frame; None where the error is of another kind."""
    if isinstance(error, (AttributeError, TypeError)) and f"{type(inbox).__name__!r} object" in str(error):
        return TypeError(f"stage {name!r}: {error}; {A_STAGE}, and does not take a single frame")
    return None


def described(thing: Any) -> str:
    """Something in a few words: texts and numbers themselves, everything else by its type."""
    if thing is None or isinstance(thing, (str, int, float, os.PathLike)):
        return repr(thing)
    kind = type(thing).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
