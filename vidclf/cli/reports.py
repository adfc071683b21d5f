"""What commands may write: no output replaces an input or another output, and no report a file of another kind."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from glob import glob
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vidclf.errors import UsageError
from vidclf.files import PartFile, part_of
from vidclf.recipe import Item
from vidclf.resources import shipped
from vidclf.stdout import STDOUT, stdout

# The option of a report, and the suffixes of the files it replaces: those that an earlier run of a script has written.
SUFFIXES = {"--json": (".json",), "--stats": (".json",), "--trace": (".json",), "--html": (".html", ".htm")}
ALONE = {("capture", "source"), ("write", "path"), ("record", "path")}  # options that the commands tell of themselves
Inputs = Iterable[tuple[str, str | Path]]  # what a file is, in words, and its path


def check_reports(
    reports: Mapping[str, str | Path | None],
    inputs: Inputs = (),
    outputs: Iterable[Path] = (),
    folders: Sequence[Path] = (),
    force: bool | None = None,
) -> None:
    """Raise UsageError now rather than after the work if a report must not, or cannot, be written.

    reports: by their options; `-` is stdout. outputs: the command's other files. folders: those of inputs and outputs
    whose names are not known yet, so that a report there needs a suffix of its own. force: the option, None if the
    command has none; it allows replacing files of other kinds, but never inputs and outputs.
    """
    paths = {flag: Path(target) for flag, target in reports.items() if target and str(target) != STDOUT}
    refuse_clashes(inputs, [*outputs, *paths.values()])
    for flag, path in paths.items():
        if path.suffix.lower() not in SUFFIXES[flag]:
            wanted = f"{flag} needs a name that ends in {SUFFIXES[flag][0]}"
            if folder := next((folder for folder in folders if _is_in(path, folder)), None):
                raise UsageError(f"{path} is in {folder}, where {wanted}")
            if path.is_file() and path.stat().st_size and not force:  # mktemp makes an empty one
                ways = "" if force is None else ", or --force"
                raise UsageError(f"{path} exists; to replace a file, {wanted}{ways}")
        PartFile(path, force=True)
    if STDOUT in reports.values():
        with stdout():
            pass


def refuse_clashes(inputs: Inputs, written: Iterable[Path]) -> None:
    """Raise UsageError if an output, or its part while it is written, is an input or another output."""
    taken = {identity(Path(path)): what for what, path in inputs}
    for path in written:
        parts = (part_of(path), part_of(path, keep_suffix=True)) if path.name else ()  # `.` is rejected later
        for name in (path, *parts):
            if (what := taken.get(identity(name))) and name == path:
                raise UsageError(f"{path} would overwrite {what}")
            if what:
                raise UsageError(f"{path} is called {name.name} while it is written; that would overwrite {what}")
        taken[identity(path)] = "another output"


def refuse_same_outputs(sources: Sequence[str], written: Iterable[Iterable[Path]]) -> None:
    """Raise UsageError if two sources that run one after the other have the same output, and say what to do."""
    from vidclf.video.address import is_url, redact

    taken: dict[str, str] = {}
    for source, paths in zip(sources, written, strict=False):  # live sources are one run
        places = {_place(path): path for path in paths}
        for place, path in places.items():
            if place in taken:
                ways = "name them (NAME=URL)" if is_url(source) else "run each with its own -o, or use vidclf batch"
                both = f"{redact(taken[place])} and {redact(source)}"
                raise UsageError(f"{both} would both be written to {path}; {ways}")
        taken |= dict.fromkeys(places, source)


def _place(path: Path) -> str:
    """Equal for two paths of the same file; most file systems of Windows and macOS do not tell a from A."""
    if sys.platform == "win32" or sys.platform == "darwin":
        return unicodedata.normalize("NFC", str(path)).casefold()
    return str(path)


def refuse_cutting_over(sources: Iterable[str], path: Path) -> None:
    """Raise UsageError if a part of a cut video could get a source's name: `cam-000010.mp4` from `cam.mp4`."""
    for source in sources:
        file = _file_of(source)
        mine = re.fullmatch(rf"{re.escape(path.stem)}-\d.*", file.stem) and file.suffix.lower() == path.suffix.lower()
        if mine and file.exists() and identity(file.parent) == identity(path.parent):
            raise UsageError(f"the parts of {path} could overwrite the source {source}; write to another folder")


def files_of(source: str) -> list[Path]:
    """The file of a source, or the pictures that its pattern (*.jpg, %04d.jpg) matches."""
    file = _file_of(source)
    is_pattern = "://" not in source and re.search(r"[*?%\[]", source) and not os.path.exists(source)  # noqa: PTH110
    return [Path(name) for name in glob(re.sub(r"%\d*d", "*", source))] if is_pattern else [file]  # noqa: PTH207


def files_read(items: Iterable[Item]) -> list[tuple[str, Path]]:
    """The files that the options of a pipeline's stages name, other than sources and outputs: weights, mostly."""
    weights = shipped("weights")
    named = [
        (f"the file of {item.name}.{option}", path)
        for item in items
        for option, value in item.options.items()
        if isinstance(value, str | Path) and (item.name, option) not in ALONE
        for path in (Path(value), weights / f"{value}.safetensors")
    ]
    return [(what, path) for what, path in named if os.path.isfile(path)]  # noqa: PTH113 - a name may be too long


def identity(path: Path) -> object:
    """Identifies a file, however its path is spelled: on macOS, Clip.MP4 and clip.mp4 are the same file."""
    try:
        status = path.stat()
    except OSError:  # there is none, or there cannot be one of that name
        return os.path.realpath(path)
    except ValueError:  # not even a name: whoever opens it will report that
        return str(path)
    return status.st_dev, status.st_ino


def _file_of(source: str) -> Path:
    return Path(url2pathname(urlsplit(source).path) if source.lower().startswith("file://") else source)


def _is_in(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
