"""Which files of a folder are clips, in which order, and what is said of the others."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from vidclf.batch.clips import Clip, find_clips, printable
from vidclf.batch.manifest import Manifest
from vidclf.errors import UsageError

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX file systems")


def make(folder: Path, *names: str, size: int = 1) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)


def paths(folder: Path, **options: object) -> list[str]:
    return [clip.path for clip in find_clips(folder, **options).clips]  # type: ignore[arg-type]


def test_clips_are_told_by_their_suffix_wherever_they_lie(tmp_path: Path) -> None:
    make(tmp_path, "b.MP4", "a.mkv", "deep/er/c.webm", "notes.txt", "._a.mkv", "mp4", "d.mp4.part")
    assert paths(tmp_path) == ["a.mkv", "b.MP4", "deep/er/c.webm"]
    assert paths(tmp_path, suffixes=["txt", ".mkv"]) == ["a.mkv", "notes.txt"]


def test_a_clip_knows_its_size_and_time(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", size=5)
    os.utime(tmp_path / "a.mp4", ns=(1, 2_000_000_000))
    assert find_clips(tmp_path).clips == [Clip("a.mp4", 5, 2_000_000_000)]


def test_patterns_are_for_the_path_or_the_name(tmp_path: Path) -> None:
    make(tmp_path, "cam1/a.mp4", "cam1/b.mp4", "cam2/a.mp4", "cam2/old/a.mp4")
    assert paths(tmp_path, include=["cam1/*"]) == ["cam1/a.mp4", "cam1/b.mp4"]
    assert paths(tmp_path, include=["a.*"], exclude=["*/old/*"]) == ["cam1/a.mp4", "cam2/a.mp4"]
    assert paths(tmp_path, exclude=["*"]) == []


def test_order(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", size=3)
    make(tmp_path, "b.mp4", "c.mp4", size=1)
    make(tmp_path, "d.mp4", size=2)
    assert paths(tmp_path, order="size") == ["b.mp4", "c.mp4", "d.mp4", "a.mp4"]
    assert paths(tmp_path, order="largest") == ["a.mp4", "d.mp4", "b.mp4", "c.mp4"]
    with pytest.raises(UsageError, match="order must be one of name, size, largest, got 'age'"):
        paths(tmp_path, order="age")


def test_the_results_are_no_clips(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "out/a.mp4", "out/deep/a.mp4")
    assert paths(tmp_path, skip=tmp_path / "out") == ["a.mp4"]


@posix
def test_results_of_another_batch_and_hidden_folders_are_no_clips(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "old/a.mp4", "old/manifest.sqlite", "old/deeper/b.mp4", ".Trash/c.mp4")
    assert [clip.path for clip in find_clips(tmp_path).clips] == ["a.mp4"]
    assert [clip.path for clip in find_clips(tmp_path / "old").clips] == ["a.mp4", "deeper/b.mp4"]  # if asked for


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    make(tmp_path, "real/a.mp4", "real/sub/b.mp4")
    make(tmp_path.parent / f"{tmp_path.name}-else", "c.mp4")
    (tmp_path / "aaa").symlink_to("real")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "else").symlink_to(tmp_path.parent / f"{tmp_path.name}-else")
    (tmp_path / "link.mp4").symlink_to("real/a.mp4")
    found = find_clips(tmp_path)
    # `aaa` is the same folder as `real`, and the real path is its own.
    assert [clip.path for clip in found.clips] == ["else/c.mp4", "link.mp4", "real/a.mp4", "real/sub/b.mp4"]
    assert found.problems == {}


@posix
def test_what_cannot_be_a_clip_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "dangling.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "dangling.txt").symlink_to("nowhere")
    found = find_clips(tmp_path)
    assert found.clips == []
    assert found.problems == {
        "dangling.mp4": "a broken symbolic link",
        "loop.mp4": "too many levels of symbolic links",
        "pipe.mp4": "not a file, but a device or pipe",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4")).write_bytes(b"x")
    found = find_clips(tmp_path)
    assert found.clips == []
    assert found.problems == {r"\xff.mp4": "its name is not valid UTF-8; rename it"}
    assert printable("plain") == "plain"
    assert printable("\ud800.mp4") == r"\ud800.mp4"


@posix
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.mp4", "secret/b.mp4")
    scandir = os.scandir

    def refuse(path: str) -> object:  # chmod would not stop root
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_clips(tmp_path)
    assert [clip.path for clip in found.clips] == ["a.mp4"]
    assert found.problems == {"secret": "permission denied"}


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    with pytest.raises(UsageError, match="does not exist"):
        find_clips(tmp_path / "none")
    with pytest.raises(UsageError, match=r"a.mp4 is a file; `vidclf run` takes files"):
        find_clips(tmp_path / "a.mp4")


@pytest.mark.parametrize("seconds", [10_413_792_000, 4_000_000_000])  # in the year 2300, 2096
def test_a_time_that_no_clock_shows_does_not_end_a_batch(tmp_path: Path, seconds: int) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    os.utime(tmp_path / "a.mp4", (seconds, seconds))
    (clip,) = find_clips(tmp_path).clips
    with closing(Manifest(tmp_path / "manifest.sqlite")) as manifest:
        manifest.enter([clip])
        manifest.begin(clip, "config")
        before = manifest.state()
        manifest.begin(clip, "config")
        assert manifest.state() != before  # whatever the clock says
