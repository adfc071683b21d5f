from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.stages._pause import RETRY, Pause


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
