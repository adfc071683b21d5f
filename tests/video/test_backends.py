from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tests.clips import look, picture
from vidclf.video import backends
from vidclf.video.backends import SkVideoWriter


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("ffmpeg"), reason="needs ffmpeg and POSIX")
def test_ctrl_c_does_not_reach_ffmpeg(tmp_path: Path) -> None:
    """A terminal sends it to all processes of its session."""
    writer = SkVideoWriter(tmp_path / "out.mp4", (96, 72), Fraction(25), None, None)
    for number in range(3):
        writer.write(picture(number), number)
    assert os.getsid(writer._writer._proc.pid) != os.getsid(0)
    writer.close()
    assert look(tmp_path / "out.mp4").indices == [0, 1, 2]


def test_nor_does_it_on_windows_which_has_no_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    assert backends._beyond_ctrl_c() == {"creationflags": 512}
