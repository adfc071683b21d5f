"""What a class is called in a file system: the crops of a class lie in a folder of its name."""

from __future__ import annotations

import re
import unicodedata

UNSORTED = "unsorted"  # the folder of crops without a label; it is never a class
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # device names on Windows


def folder_name(label: str) -> str:
    """A label as the name of a folder on any system: "T-shirt/top" -> "T-shirt_top"; "" -> "unsorted".

    What some system refuses becomes "_". Accents are composed (Unicode NFC), as macOS may decompose them.
    """
    name = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "_", unicodedata.normalize("NFC", label))
    name = name.strip().rstrip(". ")[:100]
    if name.startswith(".") or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name or UNSORTED
