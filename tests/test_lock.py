from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vidclf.lock import NameLock


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


@pytest.mark.skipif(sys.platform == "win32", reason="removes an open file")
def test_a_lock_of_a_file_that_is_gone_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidclf import lock

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
