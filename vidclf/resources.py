"""Finds the files shipped with vidclf: in the installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["weights", "pipelines", "samples"]


def shipped(kind: Kind) -> Path:
    """The folder of the shipped weights, pipelines or samples.

    Installed, it is a folder inside the package; in a checkout it is the top-level folder of that name.
    """
    package = Path(__file__).resolve().parent
    installed = package / kind
    return installed if installed.is_dir() else package.parent / kind
