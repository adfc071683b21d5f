from __future__ import annotations

import errno
from pathlib import Path

import pytest

from vidclf.errors import VidclfError
from vidclf.files import NoSpaceError, PartFile
from vidclf.stages._pause import RETRY, Pause, ends_when_full
from vidclf.tables import JsonLines

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_pause_warns_once_until_something_was_written_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vidclf")
    pause = Pause("cam", Path("rec"))
    assert not pause.holds(0)
    pause.wrote(0, 100)  # nothing to tell
    for now in (100, 100 + RETRY):
        pause.begins(now)
        assert pause.holds(now + RETRY - 0.1) and not pause.holds(now + RETRY)
        pause.wrote(now, now + RETRY)
    assert caplog.messages == ["rec: no space left; recording of cam pauses until there is"]
    for _ in range(2):
        pause.wrote(200, 201 + RETRY)
    assert caplog.messages[1:] == ["recording of cam goes on"]


def test_short_files_end_a_pause_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vidclf")
    pause = Pause("cam", Path("rec"))
    pause.begins(100)
    for now in range(110, 125):
        pause.wrote(now - now % RETRY, now)  # a new file every RETRY seconds
    assert caplog.messages[1:] == ["recording of cam goes on"]


def test_a_pause_has_a_reason_until_it_goes_on_or_its_run_ends() -> None:
    one, two = (Pause(name, Path("rec")) for name in ("cam", "detections"))
    assert one.reason == two.reason == ""
    for now in (100, 100 + RETRY):
        one.begins(now)
    two.begins(100)
    for pause, name in ((one, "cam"), (two, "detections")):
        assert pause.reason == f"rec: no space left; recording of {name} pauses until there is"
    one.wrote(200, 200 + RETRY)  # it is not known yet whether there is space
    assert one.reason
    one.wrote(200, 201 + RETRY)
    assert one.reason == "" and two.reason
    two.ends()
    assert two.reason == ""


@pytest.mark.parametrize(
    ("text", "error", "can_wait", "left"),
    [
        ("1\n2\n3", FULL, True, {"out.csv": "1\n2\n"}),
        ("1", FULL, True, {}),
        ("1\n2", FULL, False, {"out.csv.part": "1\n2"}),
        ("1\n2", OSError(errno.EIO, "I/O error"), True, {"out.csv.part": "1\n2"}),
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
