"""Standard output, as a place for a record or a report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from vidclf.errors import VidclfError

STDOUT = "-"  # instead of a path


@contextmanager
def stdout() -> Iterator[TextIO]:
    """Stdout, flushed at the end; VidclfError if it is closed or full, BrokenPipeError if nobody reads it."""
    if sys.stdout is None:
        raise VidclfError("cannot write to stdout: it is closed")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VidclfError(f"cannot write to stdout: {error.strerror or error}") from None


def encodable(text: str) -> str:
    """A text with ? for the bytes and letters that stdout cannot encode, rather than an error when it is printed."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # there is no stdout if it is closed
    return text.encode(encoding, "replace").decode(encoding)


def is_valid(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no half characters, as names that are other bytes do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def needs_ascii(file: TextIO) -> bool:
    """Whether a text file or stdout cannot encode every character, so that JSON has to escape them."""
    return (file.encoding or "").lower().replace("-", "") != "utf8"
