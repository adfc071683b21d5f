from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.stages._pause import RETRY, Pause


def test_a_pause_warns_once_until_something_was_written_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vidclf")
    pause = Pause("cam")
    assert not pause.holds(0)
    pause.wrote(0, 100)  # nothing to tell
    for now in (100, 100 + RETRY):
        pause.begin(Path("rec"), now)
        assert pause.holds(now + RETRY - 0.1) and not pause.holds(now + RETRY)
        pause.wrote(now, now + RETRY)
    assert caplog.messages == ["rec: no space left; recording of cam pauses until there is"]
    for _ in range(2):
        pause.wrote(200, 201 + RETRY)
    assert caplog.messages[1:] == ["recording of cam goes on"]
