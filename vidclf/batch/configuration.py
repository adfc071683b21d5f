"""Whether results match the current configuration: a hash of the pipeline, its options and its weights."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidclf.files import hash_file
from vidclf.models.cache import cache_folder
from vidclf.models.ultralytics_model import find_weights
from vidclf.options import check_options, parameters_of
from vidclf.recipe import Item, find_stage
from vidclf.resources import shipped
from vidclf.stages import STAGES

# Options that change neither pictures nor rows: where the work is done, and what differs by clip.
NEUTRAL = {"capture": {"source"}, "write": {"path", "force"}, "record": {"path", "force"}}
ANYWHERE = {"device"}
# Folders that a stage writes to: only their name counts, not the files that earlier clips have left there.
WRITTEN = {"save-crops": {"folder"}}
# The options of the built-in stages that name files or folders; in a user's stage, any option may name a file.
FILES = {"weights", "like"}
# Stages that an output does not depend on: `publish` only reports, and a new password is not a change.
IGNORED = {"write": {"record", "publish"}, "record": {"write", "annotate", "publish"}}


def fingerprints(items: Iterable[Item]) -> dict[str, str]:
    """For each stage that writes an output (`write`, `record`), the hash of everything that the output depends on.

    It includes default options, and the content of weights and of the user's own stages, so that any change to them
    changes the hash.
    """
    described = [(item.name, _describe(item)) for item in items]
    writers = [name for name, _ in described if name in IGNORED]
    return {kind: _hash([entry for entry in described if entry[0] not in IGNORED[kind]]) for kind in writers}


def _describe(item: Item) -> dict[str, Any]:
    constructor = find_stage(item.name, item.where)
    given = check_options(constructor, item.options, f"{item.where}: {item.name}")
    parameters = parameters_of(constructor)
    options = {name: p.default for name, p in parameters.items() if p.default is not p.empty} | given
    if item.name == "yolo":
        weights = find_weights(str(options["weights"]))
        if weights.parent != cache_folder():  # a published name whose file is here, and may have been trained again
            options["weights"] = weights
    neutral, written = NEUTRAL.get(item.name, set()) | ANYWHERE, WRITTEN.get(item.name, set())
    named = (FILES if item.name in STAGES else options.keys()) - written
    described = {
        name: _content(value, folders=item.name in STAGES) if name in named else _text(value)
        for name, value in options.items()
        if name not in neutral
    }
    if item.name not in STAGES and (file := _code_of(constructor)):
        described["its code"] = hash_file(Path(file))
    return described


def _code_of(constructor: Any) -> str | None:
    """The file of a user's stage, if it has one; that of an object such as a functools.partial is unknown."""
    try:
        return inspect.getsourcefile(constructor)
    except TypeError:
        return None


def _content(value: Any, folders: bool) -> str:
    """An option's value; if it names a file or shipped weights, their content; folders: also that of a folder.

    A user's stage may write to a folder that it names, and what it wrote is no change of its options.
    """
    if isinstance(value, (str, Path)) and str(value):
        path = Path(value)
        # With os.path, which accepts text that cannot be a file name.
        if folders and os.path.isdir(path):  # noqa: PTH112
            return _hash([(str(p.relative_to(path)), hash_file(p)) for p in sorted(path.rglob("*")) if p.is_file()])
        if os.path.isfile(path):  # noqa: PTH113
            try:
                return hash_file(path)
            except OSError:  # the stage that wants it will say so
                return _text(value)
        weights = shipped("weights") / f"{path.name}.safetensors"
        if path.name == str(value) and os.path.isfile(weights):  # noqa: PTH113
            return hash_file(weights)
    return _text(value)


def _text(value: Any) -> str:
    """A value as text that is the same in every process; the order of a set is not."""
    return repr(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value)


def _hash(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
