"""Names of a clip's outputs: the clip's name and folder, unless another clip already has that name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import PurePosixPath

SUFFIX = {"write": ".mp4", "record": ".jsonl"}  # of the outputs, by the stage that writes them
# What is added to a name to make the files of its outputs, also while they are written.
ENDINGS = [ending for suffix in SUFFIX.values() for ending in (suffix, f".part{suffix}", f"{suffix}.part")]
# Maximum bytes of a file name, minus room for what is added to it (".jsonl.part" and a number).
LONGEST = 230


def name_outputs(paths: Collection[str], known: dict[str, str]) -> dict[str, str]:
    """Each path's name for its outputs, without suffix, / between its parts: `a/b.mov` -> `a/b`.

    Clips that differ only in their suffix are sorted, `.mp4` first. The first one gets `a/b`, the others keep their
    full names, such as `a/b.mov`. A name once given (`known`, by path) does not change.
    No two names differ only in case, because they would be the same file on Windows and macOS. No output has the name
    of a folder, such as `a.mp4` of `a.mp4/b.mp4`.
    """
    names = {path: known[path] for path in paths if path in known}
    taken = {_key(name) for name in known.values()}
    below = {path.rpartition("/")[0] for path in (*paths, *known.values())}  # many clips are in the same folder
    folders = {_key(str(folder)) for path in below for folder in (PurePosixPath(path), *PurePosixPath(path).parents)}

    def is_free(name: str) -> bool:
        key = _key(name)
        return key not in taken and not any(key + ending in folders for ending in ENDINGS)

    for path in sorted(set(paths) - set(names), key=lambda path: (not path.lower().endswith(".mp4"), path)):
        pure = PurePosixPath(path)
        name = next(filter(is_free, _candidates(pure)))
        taken.add(_key(name))
        names[path] = name
    return names


def output_names(name: str) -> dict[str, str]:
    """All outputs that a clip of this name can have, by the stage that writes them."""
    return {kind: name + suffix for kind, suffix in SUFFIX.items()}


def _candidates(path: PurePosixPath) -> Iterable[str]:
    # The results of x.part.mp4 would look like partial ones of x.mp4; those of ..mp4 would be called . alone.
    if not path.stem.lower().endswith(".part") and path.stem.strip("."):
        yield str(path.with_name(_short(path.stem)))
    full = _short(path.name)
    yield str(path.with_name(full))
    number = 2
    while True:
        yield str(path.with_name(f"{full}~{number}"))
        number += 1


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _short(name: str) -> str:
    """A name that leaves room for suffixes: a long one is cut, and made unique by a hash."""
    encoded = os.fsencode(name)
    if len(encoded) <= LONGEST:
        return name
    return encoded[: LONGEST - 9].decode("utf-8", "ignore") + "~" + sha256(encoded).hexdigest()[:8]
