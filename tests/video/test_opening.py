from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import av
import pytest

from tests.clips import write_clip
from vidclf.errors import UsageError, VidclfError
from vidclf.video.opening import _windows_camera, open_source, opens_twice, reason


def test_what_a_second_reader_gets_all_of(tmp_path: Path) -> None:
    (tmp_path / "clip.ts").touch()
    assert opens_twice(str(tmp_path / "clip.ts"))
    assert opens_twice("https://host/clip.ts")
    assert not opens_twice("pipe://0")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.ts")
        assert not opens_twice(str(tmp_path / "fifo.ts"))


@pytest.mark.parametrize("name", ["a:b.mp4", "clip%03d.mp4", "clip[1].mp4", "50% off?.mp4", "-x.mp4", "ä ö.mp4"])
def test_a_file_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("plain.mp4"), frames=2).rename(name)
    with open_source(name) as container:
        assert container.streams.video


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("missing.mp4", UsageError, r"no such file: missing\.mp4"),
        ("missing/%04d.png", UsageError, r"no such file: missing/%04d\.png"),
        ("missing/*.png", UsageError, r"no file matches missing/\*\.png"),
        (".", UsageError, r"\. is a folder; name a pattern of pictures"),
        ("x" * 300, UsageError, r"(no such file: x{300}|cannot read x{300} as video: File name too long)$"),
        ("empty.mp4", VidclfError, r"cannot read empty\.mp4 as video: "),
        ("text.mp4", VidclfError, r"cannot read text\.mp4 as video: "),
        ("/dev/video99", UsageError, "no such camera: /dev/video99"),
        ("nothing://user:secret@host/a", VidclfError, r"cannot read nothing://user:\*\*\*@host/a as video: "),
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, error: type[VidclfError], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.mp4").touch()
    Path("text.mp4").write_text("this is no video\n" * 100)
    with pytest.raises(error, match=f"^{message}") as raised:
        open_source(source)
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_file_in_a_folder_that_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11's Path says so by an error, which as root cannot be had for real."""

    def is_dir(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", is_dir)
    with pytest.raises(UsageError, match=r"^no permission to read theirs/clip\.mp4$"):
        open_source("theirs/clip.mp4")


def test_on_windows_pictures_are_named_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0001.png").touch()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError) as raised:
        open_source(f"{tmp_path}/*.png")
    said = f"on Windows a pattern of pictures must be numbered, like %04d.png, got {tmp_path}/*.png"
    assert str(raised.value) == said
    with pytest.raises(UsageError, match=r"is a folder; name a pattern of pictures \('.*%04d\.jpg'\)"):
        open_source(str(tmp_path))


def test_a_windows_camera_that_is_unplugged_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "enumerate_input_devices", lambda _: [])
    with pytest.raises(FileNotFoundError) as raised:
        _windows_camera(0)
    assert reason(raised.value) == "no such camera"
