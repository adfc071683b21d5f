"""Sources become jobs: the items of one pipeline for each recording, or of one for all live sources."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.live import live_outputs, refuse_same_names, side_by_side, together
from vidclf.errors import UsageError
from vidclf.recipe import WRITERS, Item
from vidclf.stdout import STDOUT
from vidclf.video.address import is_url


def make_jobs(
    named: Sequence[tuple[str | None, str]], output: str | None, record: str | None, options: RunOptions
) -> list[list[Item]]:
    """The items of each pipeline to run. Raises UsageError if the sources do not fit each other or the outputs.

    named: each source's name, if it has one, and its address, as from `split_name`.
    """
    sources = [source for _, source in named]
    if together(sources):
        items = assemble(options, sources[0], *live_outputs(sources, output, record))
        jobs = [side_by_side(items, named)]
    else:
        several, jobs = len(sources) > 1, []
        for name, source in named:
            video = file_for(name or source, output, ".mp4", several)
            table = file_for(name or source, record, ".jsonl", several)
            items = assemble(options, source, video, table)
            items[0].options |= {"name": name} if name else {}
            jobs.append(items)
        if several:
            _must_be_there(sources)
    refuse_same_names(captures(jobs))
    return jobs


def expanded(named: Sequence[tuple[str | None, str]]) -> Sequence[tuple[str | None, str]]:
    """The sources with their names; on Windows, where shells leave *.mp4 to the program, each file of a pattern."""
    if sys.platform != "win32":
        return named
    return [(name, each) for name, source in named for each in files_of_pattern(source)]


def files_of_pattern(source: str) -> list[str]:
    """The videos that a pattern such as *.mp4 stands for, in order; anything else is itself."""
    from vidclf.video.opening import PICTURES

    is_pattern = re.search(r"[*?]", source) and not is_url(source) and Path(source).suffix.lower() not in PICTURES
    return (sorted(glob.glob(source)) if is_pattern else []) or [source]  # noqa: PTH207 - Path.glob takes no absolute one


def captures(jobs: Sequence[Sequence[Item]]) -> list[Item]:
    """The items of the sources, of all jobs."""
    return [item for items in jobs for item in items if item.name == "capture"]


def outputs(items: list[Item]) -> list[Path]:
    """The files that a pipeline's stages will write."""
    paths = (str(item.options["path"]) for item in items if item.name in WRITERS)
    return [Path(path) for path in paths if path != STDOUT]


def file_for(source: str, target: str | None, suffix: str, several: bool) -> Path | None:
    """The output file for one source: the target itself, or a file named after the source in the target folder."""
    path = None if target is None else Path(target)
    is_folder = path is not None and (str(target).endswith(("/", os.sep)) or path.is_dir())
    if path is None or not (several or is_folder):
        return path
    if target == STDOUT:
        raise UsageError("several sources cannot share stdout; name a folder")
    if path.suffix and not is_folder:
        raise UsageError(f"several sources need a folder for their outputs, got {path}")
    return path / f"{_stem_of(source)}{suffix}"


def _stem_of(source: str) -> str:
    """The stem of a source's outputs: the file's name, a URL's without its query, or a pattern's folder."""
    if "://" in source:
        source = re.split(r"[?#]", source, maxsplit=1)[0]
    elif re.search(r"[*?%\[]", source) and not Path(source).exists():
        return Path(source).absolute().parent.name or "pictures"
    return Path(source.rstrip("/").rpartition("/")[2] or source).stem or "source"


def _must_be_there(sources: Sequence[str]) -> None:
    """Report a mistyped file among several now rather than when its turn comes."""
    for source in sources:
        is_there = os.path.exists(source)  # noqa: PTH110 - Path.exists fails for a name that is too long
        if not (is_there or is_url(source) or re.search(r"[*?%\[]", source)):
            raise UsageError(f"no such file: {source}")
