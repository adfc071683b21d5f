from __future__ import annotations

import io
import sys

import pytest

from vidclf.errors import VidclfError
from vidclf.stdout import encodable, needs_ascii, stdout


class Broken(io.StringIO):
    """A stdout that fails when it is flushed."""

    def __init__(self, error: OSError):
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


def test_what_is_written_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, "utf-8"))
    with stdout() as file:
        file.write("row")
    assert data.getvalue() == b"row"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "cannot write to stdout: it is closed"),
        (Broken(OSError(28, "No space left on device")), "cannot write to stdout: No space left on device"),
        (Broken(OSError("odd")), "cannot write to stdout: odd"),
    ],
)
def test_a_closed_or_full_stdout_is_one_line(monkeypatch: pytest.MonkeyPatch, file: object, message: str) -> None:
    monkeypatch.setattr(sys, "stdout", file)
    with pytest.raises(VidclfError) as raised, stdout():
        pass
    assert str(raised.value) == message


def test_that_nobody_reads_it_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError()))
    with pytest.raises(BrokenPipeError), stdout():
        pass


@pytest.mark.parametrize(
    ("encoding", "needs"), [("utf-8", False), ("UTF8", False), ("ascii", True), ("cp1252", True), ("utf-16", True)]
)
def test_only_utf_8_needs_no_escapes(encoding: str, needs: bool) -> None:
    assert needs_ascii(io.TextIOWrapper(io.BytesIO(), encoding)) is needs


def test_what_it_cannot_encode_becomes_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    assert encodable("größer 外套 \udce9") == "größer ?? ?"


def test_a_closed_stdout_has_no_encoding_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert encodable("é") == "é"
