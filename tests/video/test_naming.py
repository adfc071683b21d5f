from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.frames import make_source
from vidclf.video.naming import stamped, stem_of, sweep


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("rtsp://user:***@host:554/cam/1?x=y", "host-554-cam-1-x-y"),
        ("0", "camera-0"),
        ("folder/clip one.mp4", "clip-one"),
        ("udp://@:1234", "1234"),
        ("///", "source"),
    ],
)
def test_a_source_gives_its_recordings_a_name(name: str, stem: str) -> None:
    assert stem_of(make_source(name)) == stem


def test_a_time_in_the_name_is_the_date_or_the_place_and_never_anothers(tmp_path: Path) -> None:
    clip, camera = make_source("clip"), make_source("camera")
    camera.live = True
    path = tmp_path / "a.mp4"
    assert stamped(path, clip, 3725.9, ()).name == "a-010205.mp4"
    assert stamped(path, clip, 3725, {tmp_path / "a-010205.mp4"}).name == "a-010205-2.mp4"
    assert stamped(path, camera, 1_000_000_000, ()).name == "a-20010909T014640Z.mp4"
    (tmp_path / "a-20010909T014640Z.mp4").touch()
    (tmp_path / "a-20010909T014640Z-2.mp4.part").touch()
    assert stamped(path, camera, 1_000_000_000, ()).name == "a-20010909T014640Z-3.mp4"


def recordings(folder: Path) -> list[Path]:
    """Five of 100 bytes, the first finished 500 s ago, the last 100 s; and three files of somebody else's."""
    files = [folder / f"cam-2026010{n}T000000Z.mp4" for n in range(1, 6)]
    others = [folder / name for name in ("cam.mp4", "cam-old.mp4", "other-20260101T000000Z.mp4")]
    for age, file in zip([500, 400, 300, 200, 100, 900, 900, 900], files + others, strict=True):
        file.write_bytes(b"x" * 100)
        stat = file.stat()
        os.utime(file, (stat.st_atime, stat.st_mtime - age))
    return files


def test_old_recordings_go_by_age(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    assert sweep([tmp_path / "cam.mp4"], keep=250, keep_size=None) == files[:3]
    assert len(list(tmp_path.iterdir())) == 2 + 3


def test_the_oldest_recordings_go_by_size(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    assert sweep([tmp_path / "cam.mp4"], keep=None, keep_size=250) == files[:3]
    assert len(list(tmp_path.iterdir())) == 2 + 3


def test_the_newest_recording_stays_though_it_alone_is_too_large(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    assert sweep([tmp_path / "cam.mp4"], keep=None, keep_size=50) == files[:4]


def test_what_cannot_be_looked_at_or_deleted_ends_no_run(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    files[0].unlink()
    files[0].symlink_to("gone meanwhile")
    files[1].unlink()
    files[1].mkdir()  # cannot be unlinked, whoever tries
    assert sweep([tmp_path / "cam.mp4"], keep=50, keep_size=None) == files[2:]


def test_parts_that_a_killed_process_left_go_with_the_others(tmp_path: Path) -> None:
    files = [tmp_path / f"cam-2026010{n}T000000Z{suffix}" for n, suffix in enumerate((".mp4.part", ".part.mp4"), 1)]
    ours = [tmp_path / f"cam-2026010{n}T000000Z{suffix}" for n, suffix in enumerate((".mp4.part", ".part.mp4"), 3)]
    taken = {tmp_path / f"cam-2026010{n}T000000Z.mp4" for n in (3, 4)}
    another = tmp_path / "cam-20260105T000000Z.mp4.part"
    for file, age in [*((file, 1000) for file in files + ours), (another, 500)]:
        file.write_bytes(b"x" * 100)
        stat = file.stat()
        os.utime(file, (stat.st_atime, stat.st_mtime - age))
    assert set(sweep([tmp_path / "cam.mp4"], 100, None, taken)) == set(files)
    assert set(tmp_path.iterdir()) == {*ours, another}  # of this run, and of one that may still go on


def test_parts_that_a_killed_process_left_are_counted(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    part = tmp_path / "cam-20251231T000000Z.mp4.part"
    part.write_bytes(b"x" * 100)
    os.utime(part, (1, 1))
    assert sweep([tmp_path / "cam.mp4"], keep=None, keep_size=450) == [part, files[0]]


def test_recordings_of_several_sources_share_the_room(tmp_path: Path) -> None:
    files = recordings(tmp_path)
    gone = sweep([tmp_path / "cam.mp4", tmp_path / "other.mp4"], keep=None, keep_size=500)
    assert gone == [tmp_path / "other-20260101T000000Z.mp4"]
    assert all(file.exists() for file in files)
