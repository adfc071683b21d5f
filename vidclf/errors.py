"""The exceptions a user may see: each message is one clear line, and each class knows its exit code."""

from __future__ import annotations


class VidclfError(Exception):
    """Something went wrong while processing: exit code 1."""

    exit_code = 1


class UsageError(VidclfError, ValueError):
    """Wrong usage or configuration, found before or instead of processing: exit code 2."""

    exit_code = 2


def one_line(error: BaseException, most: int | None = None) -> str:
    """The message of another library's error as one line, of `most` characters if given; its type if it has none."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def describe(error: BaseException) -> str:
    """An error as one line. Ours explain themselves; for others, the line adds the stage, the frame and the type."""
    text = " ".join(str(error).split())
    if isinstance(error, VidclfError):
        return text
    notes = ", ".join(getattr(error, "__notes__", ()))
    return f"{notes + ': ' if notes else ''}{type(error).__name__}: {text}"
