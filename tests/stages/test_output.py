from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vidclf.errors import VidclfError
from vidclf.files import NoSpaceError, PartFile
from vidclf.stages._output import Output, ends_when_full
from vidclf.stages._pause import RETRY
from vidclf.tables import JsonLines

FULL = OSError(errno.ENOSPC, "No space left on device")
BROKEN = OSError(errno.EIO, "I/O error")


@contextmanager
def file(name: str, seen: list[object], failure: Exception | None = None) -> Iterator[str]:
    """A file that notes how it ended; it may fail then."""
    error: BaseException | None = None
    try:
        yield name
    except BaseException as given:
        error = given
        raise
    finally:
        seen += [(name, error)]
        if failure:
            raise failure


def output(can_wait: bool = True) -> Output[str]:
    return Output("cam", Path("rec"), can_wait)


def test_one_file_follows_another() -> None:
    seen: list[object] = []
    made = output()
    made.end()  # there is none
    for name in "ab":
        assert made.open(file(name, seen)) == made.file == name
        made.end()
        assert made.file is None
    made.open(file("c", seen))
    made.close(BROKEN)
    assert seen == [("a", None), ("b", None), ("c", BROKEN)]


@pytest.mark.parametrize("failure", [None, NoSpaceError("cannot write rec/a")])
def test_a_full_disk_ends_the_file_and_begins_a_pause(failure: Exception | None) -> None:
    seen: list[object] = []
    made = output()
    made.open(file("a", seen, failure))
    assert made.pauses(FULL, 100)
    assert made.file is None and seen == [("a", FULL)]
    assert made.pause.holds(100 + RETRY - 1) and made.pause.reason
    made.close()
    assert made.pause.reason == ""


@pytest.mark.parametrize(("error", "can_wait"), [(BROKEN, True), (FULL, False)])
def test_other_errors_are_no_pause_nor_is_a_full_disk_that_cannot_wait(
    error: OSError, can_wait: bool, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[object] = []
    made = output(can_wait)
    made.open(file("a", seen))
    assert not made.pauses(error)
    assert made.file == "a" and seen == [] and not made.pause.holds(0)
    assert caplog.messages == []


def test_a_disk_that_is_full_at_the_end_is_no_error_if_that_can_wait(caplog: pytest.LogCaptureFixture) -> None:
    full = NoSpaceError("cannot write rec/a")
    made = output()
    made.open(file("a", [], full))
    made.close()
    assert made.pause.reason == "" and len(caplog.messages) == 1
    for can_wait, failure in ((False, full), (True, VidclfError("cannot write rec/a"))):
        made = output(can_wait)
        made.open(file("a", [], failure))
        with pytest.raises(VidclfError) as raised:
            made.close()
        assert raised.value is failure
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("text", "error", "can_wait", "left"),
    [
        ("1\n2\n3", FULL, True, {"out.csv": "1\n2\n"}),
        ("1", FULL, True, {}),
        ("1\n2", FULL, False, {"out.csv.part": "1\n2"}),
        ("1\n2", BROKEN, True, {"out.csv.part": "1\n2"}),
    ],
)
def test_what_was_written_until_the_disk_was_full_has_its_name(
    tmp_path: Path, text: str, error: OSError, can_wait: bool, left: dict[str, str]
) -> None:
    path = tmp_path / "out.csv"
    with (
        pytest.raises(VidclfError) as raised,
        ends_when_full(PartFile(path), JsonLines.salvage, can_wait) as part,
    ):
        part.write_text(text)
        raise error
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == left
    assert str(raised.value) == f"cannot write {path}: {error.strerror}"
    assert isinstance(raised.value, NoSpaceError) == (error is FULL)
