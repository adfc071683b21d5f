"""Tells whether results are those of today's configuration: a hash of the pipeline, its options and its weights."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidclf.files import hash_file
from vidclf.models.cache import cache_folder
from vidclf.models.detector import find_weights
from vidclf.recipe import Item, check_options, find_stage
from vidclf.resources import shipped
from vidclf.stages import STAGES

# What changes neither pictures nor rows: where the work is done, and what is the clip's own.
NEUTRAL = {"capture": {"source"}, "write": {"path", "force"}, "record": {"path", "force"}}
ANYWHERE = {"device"}
# Where a stage writes to: the name is the option, whatever earlier clips have left there.
WRITTEN = {"save-crops": {"folder"}, "publish": {"spool"}}
# What a kind of output does not depend on.
IGNORED = {"write": {"record"}, "record": {"write", "annotate"}}


def fingerprints(items: Iterable[Item]) -> dict[str, str]:
    """For each stage that writes an output (`write`, `record`), the hash of all that the output depends on.

    Defaults count as options, weights and stages of the user's own by their content, so that whatever changes them
    changes the hash.
    """
    described = [(item.name, _describe(item)) for item in items]
    writers = [name for name, _ in described if name in IGNORED]
    return {kind: _hash([entry for entry in described if entry[0] not in IGNORED[kind]]) for kind in writers}


def _describe(item: Item) -> dict[str, Any]:
    constructor = find_stage(item.name, item.where)
    given = check_options(constructor, item.options, f"{item.where}: {item.name}")
    parameters = inspect.signature(constructor).parameters
    options = {name: p.default for name, p in parameters.items() if p.default is not p.empty} | given
    if item.name == "yolo":
        weights = find_weights(str(options["weights"]))
        if weights.parent != cache_folder():  # a published name whose file lies here, and may have been trained anew
            options["weights"] = weights
    neutral, written = NEUTRAL.get(item.name, set()) | ANYWHERE, WRITTEN.get(item.name, set())
    described = {
        name: repr(value) if name in written else _content(value)
        for name, value in options.items()
        if name not in neutral
    }
    if item.name not in STAGES and (file := inspect.getsourcefile(constructor)):
        described["its code"] = hash_file(Path(file))
    return described


def _content(value: Any) -> str:
    """An option's value; of weights, what is in them."""
    if isinstance(value, (str, Path)) and str(value):
        path = Path(value)
        if path.is_dir():
            return _hash([(str(p.relative_to(path)), hash_file(p)) for p in sorted(path.rglob("*")) if p.is_file()])
        if path.is_file():
            return hash_file(path)
        if (weights := shipped("weights") / f"{path.name}.safetensors").is_file() and path.name == str(value):
            return hash_file(weights)
    return repr(value)


def _hash(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
