from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from time import monotonic

import pytest

from vidclf import lock
from vidclf.lock import NameLock, locked


@contextmanager
def as_a_user(folder: Path) -> Iterator[None]:
    """Inside the folder, and without the rights of root, who may write to everything."""
    before, is_root = Path.cwd(), os.geteuid() == 0
    os.chdir(folder)
    try:
        if is_root:
            os.seteuid(65_534)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        os.chdir(before)


def test_one_at_a_time_holds_it_and_nothing_stays(tmp_path: Path) -> None:
    first, second = NameLock(tmp_path / "a.mp4"), NameLock(tmp_path / "a.mp4")
    assert first.acquire() and first.acquire()
    assert not second.acquire()
    assert [path.name for path in tmp_path.iterdir()] == [".a.mp4.lock"]
    first.release()
    assert second.acquire() and not first.acquire()
    second.release()
    second.release()
    assert not list(tmp_path.iterdir())


def test_who_wants_it_in_a_block_waits(tmp_path: Path) -> None:
    held = NameLock(tmp_path / "a")
    assert held.acquire()
    timer = Timer(0.3, held.release)
    timer.start()
    began = monotonic()
    with locked(tmp_path / "a"):
        assert monotonic() - began > 0.2
        assert not held.acquire()
    assert held.acquire()
    held.release()


@pytest.mark.skipif(sys.platform == "win32", reason="removes an open file")
def test_a_lock_of_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, opened = lock._lock, []

    def late(file: object) -> None:
        """As if whoever had it had let it go, and removed its file, just before."""
        opened.append(file)
        if len(opened) == 1:
            ours.file.unlink()
        real(file)  # type: ignore[arg-type]

    monkeypatch.setattr(lock, "_lock", late)
    ours = NameLock(tmp_path / "a")
    assert ours.acquire()
    assert len(opened) == 2 and ours.file.exists()


def test_a_name_too_long_for_a_lock_is_written_without(tmp_path: Path) -> None:
    ours = NameLock(tmp_path / ("x" * 253))
    assert ours.acquire()
    ours.release()


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
@pytest.mark.parametrize("mode", [0o444, 0])
def test_another_users_lock_is_held_while_its_run_lasts(tmp_path: Path, mode: int) -> None:
    """It was taken for a folder without locks, and removed, so that a third run got it."""
    tmp_path.chmod(0o777)
    theirs = NameLock(tmp_path / "a.mp4")
    assert theirs.acquire()
    theirs.file.chmod(mode)
    with as_a_user(tmp_path):
        assert not NameLock(Path("a.mp4")).acquire()
    assert theirs.file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
def test_another_users_lock_is_free_after_its_run_was_killed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / ".a.mp4.lock").touch(0o444)
    with as_a_user(tmp_path):
        ours = NameLock(Path("a.mp4"))
        assert ours.acquire() and not NameLock(Path("a.mp4")).acquire()
        ours.release()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="has other rights")
def test_a_folder_that_cannot_be_written_has_no_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with as_a_user(tmp_path):
        assert NameLock(Path("a.mp4")).acquire()
    tmp_path.chmod(0o755)
    assert NameLock(tmp_path / "missing" / "a.mp4").acquire()
    assert not list(tmp_path.iterdir())


def test_with_too_many_open_files_nobody_knows_and_nothing_is_removed(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    theirs, ours = NameLock(tmp_path / "a.mp4"), NameLock(tmp_path / "a.mp4")
    assert theirs.acquire()
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            ours.acquire()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    assert theirs.file.exists()
    assert not ours.acquire()


@pytest.mark.parametrize("was_there", [False, True])
def test_without_locks_only_a_new_file_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    def unsupported(_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", unsupported)
    ours = NameLock(tmp_path / "a.mp4")
    if was_there:
        ours.file.touch()
    assert ours.acquire()
    assert ours.file.exists() == was_there


def test_who_waits_long_for_another_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = NameLock(tmp_path / "a.pt")
    assert theirs.acquire()
    monkeypatch.setattr(lock, "sleep", lambda _: theirs.release() if "waiting for" in caplog.text else None)
    with caplog.at_level(logging.WARNING, "vidclf"), lock.locked(tmp_path / "a.pt"):
        assert not theirs.acquire()
    assert caplog.messages == [
        f"waiting for another process, which makes {tmp_path / 'a.pt'}; if there is none, delete {theirs.file}"
    ]
