"""What `plays` says of a file; how one is written is tested in test_write.py."""

from __future__ import annotations

from pathlib import Path

from tests.clips import write_clip
from vidclf.stages._video_file import plays


def test_what_plays_is_a_video_with_a_picture(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 20)
    assert plays(path)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "half.mp4.part").write_bytes(path.read_bytes()[:40])
    assert not any(plays(tmp_path / name) for name in ("empty.mp4", "half.mp4.part", "none.mp4"))
