"""How `write` cuts recordings: segments, events, retention, one folder for several sources."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from tests.clips import look, picture, write_clip
from tests.web.cameras import Camera, until
from vidclf.channel import Aborted
from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Detection, Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.stages import _recording
from vidclf.stages.capture import Capture
from vidclf.stages.write import Write

RATE = 10


def frames(
    count: int, source: Source | None = None, seen: Callable[[int], bool] = lambda n: False, kind: str = "person"
) -> Iterator[Frame]:
    """Numbered pictures at 10 a second; `seen` says on which a detection is."""
    source = source or Source("clip", (96, 72), rate=Fraction(RATE), time_base=Fraction(1, 1000))
    for n in range(count):
        detections = [Detection((1, 1, 9, 9), kind=kind, label="Coat")] if seen(n) else []
        yield Frame(source, n, n * 1000 // RATE, picture(n % 256), detections)


def camera(name: str = "rtsp://host/cam") -> Source:
    return Source(name, (96, 72), rate=Fraction(RATE), time_base=Fraction(1, 1000), live=True)


def shown(folder: Path) -> dict[str, list[int]]:
    """The numbers of the pictures in every file of a folder, each decoded to its end and beginning at time 0."""
    found = {}
    for path in sorted(folder.iterdir()):
        seen = look(path)
        assert seen.times[0] == 0
        found[path.name] = seen.indices
    return found


def test_segments_hold_every_frame_once(tmp_path: Path) -> None:
    passed = list(Write(str(tmp_path / "a.mp4"), segment="2s")(frames(45)))
    assert len(passed) == 45
    assert shown(tmp_path) == {
        "a-000000.mp4": list(range(20)),
        "a-000002.mp4": list(range(20, 40)),
        "a-000004.mp4": list(range(40, 45)),
    }


@pytest.mark.parametrize("first", [0, 1])
def test_cameras_of_one_name_have_the_same_files_in_every_run(tmp_path: Path, first: int) -> None:
    """The one whose picture came first got the name, and after a restart went on with the other's recordings."""
    cameras = [camera(f"rtsp://user{n}:***@host/cam") for n in range(2)]
    write = Write(f"{tmp_path}/", segment="2s")
    write.attach(SimpleNamespace(sources=[SimpleNamespace(reading=source) for source in cameras]))  # type: ignore[arg-type]
    paths: dict[Source, Path] = {}
    names = {number: write._path_of(cameras[number], paths).stem for number in (first, 1 - first)}
    assert names == {0: "host-cam", 1: "host-cam-2"}


def test_a_player_that_has_a_segment_open_does_not_end_a_live_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On Windows such a file cannot be renamed."""

    def refuse(old: Path, new: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("vidclf.files.rename", refuse)
    with caplog.at_level(logging.WARNING, "vidclf"):
        assert len(list(Write(str(tmp_path / "a.mp4"), segment="2s")(frames(45, camera())))) == 45
    parts = sorted(tmp_path.iterdir())
    assert len(parts) == 3 and {path.suffix for path in parts} == {".part"}
    assert "the output is complete in" in caplog.text
    for given in (frames(5), frames(5, camera())):  # no later run would give it its name
        with pytest.raises(VidclfError, match="Permission denied; the output is complete in"):
            list(Write(str(tmp_path / "b.mp4"))(given))


def test_segments_carry_their_own_part_of_the_sound(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 60, rate=30, sound="aac")
    list(Write(str(tmp_path / "out" / "a.mp4"), segment=1)(Capture(str(clip))()))  # type: ignore[arg-type]
    whole = look(clip)
    first, second = (look(path) for path in sorted((tmp_path / "out").iterdir()))
    assert first.indices + second.indices == list(range(60))
    assert len(first.sound) / first.sound_rate == pytest.approx(1, abs=0.1)
    assert len(second.sound) / second.sound_rate == pytest.approx(1, abs=0.1)
    # The chirp tells which part it is: the second begins where the first ends.
    middle = whole.sound[whole.sound_rate :][4000:12000]
    part = second.sound[4000:12000]
    assert np.corrcoef(np.abs(np.fft.rfft(middle)), np.abs(np.fft.rfft(part)))[0, 1] > 0.9


def test_the_segment_that_is_written_plays_already_and_those_before_have_their_names(tmp_path: Path) -> None:
    stream = Write(str(tmp_path / "a.mp4"), segment=2)(frames(100, camera()))
    for _ in range(35):
        next(stream)
    lock, done, part = sorted(tmp_path.iterdir(), key=lambda path: [".lock", ".mp4", ".part"].index(path.suffix))
    assert (lock.name, done.suffix, part.suffix) == (f".{part.stem}.lock", ".mp4", ".part")
    assert look(done).indices == list(range(20))
    assert len(look(part).indices) >= 5
    stream.close()  # type: ignore[attr-defined]
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".mp4", ".mp4"]


def noise(count: int, source: Source) -> Iterator[Frame]:
    """Pictures that no encoder makes small."""
    picture = np.random.default_rng(1).integers(0, 256, (144, 192, 3), np.uint8)
    for n in range(count):
        yield Frame(source, n, n * 1000 // RATE, np.roll(picture, n, 0))


@pytest.mark.parametrize("name", ["", "a.mp4"])
def test_a_full_disk_does_not_end_a_live_run(
    tmp_path: Path, name: str, small_disk: AbstractContextManager[None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidclf")
    stream = noise(400, replace(camera(), size=(192, 144)))
    write = Write(str(tmp_path / name) if name else f"{tmp_path}/")

    def seen() -> Iterator[Frame]:
        with small_disk:
            yield from islice(stream, 150)  # one try, and another 10 s later
        yield from stream

    passed = list(write(seen()))
    assert [frame.index for frame in passed] == list(range(400))
    assert all(path.suffix == ".mp4" for path in tmp_path.iterdir())
    # The last packet before there was no space may be cut off, which a player leaves out, as does capture.
    counts = [len(list(Capture(str(path))())) for path in sorted(tmp_path.iterdir(), key=os.path.getmtime)]
    assert len(counts) == 3 and min(counts[:2]) > 0 and max(counts[:2]) < 40 and 150 < counts[2] < 250
    assert caplog.messages == [
        f"{tmp_path}: no space left; recording of rtsp://host/cam pauses until there is",
        "recording of rtsp://host/cam goes on",
    ]


def test_a_disk_that_is_full_at_the_end_keeps_what_there_is(
    tmp_path: Path, small_disk: AbstractContextManager[None], caplog: pytest.LogCaptureFixture
) -> None:
    write = Write(f"{tmp_path}/")
    with small_disk:
        stream = write(noise(50, replace(camera(), size=(192, 144))))
        reasons = [[pause.reason for pause in write.pauses] for _ in stream]
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".mp4" and list(Capture(str(path))())
    assert len(caplog.messages) == 1
    assert (reasons[0], reasons[-1]) == ([""], caplog.messages)
    assert [pause.reason for pause in write.pauses] == [""]  # nothing waits any more
    assert list(write([])) == write.pauses == []


def test_a_full_disk_lets_the_oldest_recordings_go(tmp_path: Path, small_disk: AbstractContextManager[None]) -> None:
    old = tmp_path / "host-cam-20200101T000000Z.mp4"
    old.write_bytes(b"x" * 100)
    stream = Write(f"{tmp_path}/", segment="1h", keep_size=50)(noise(400, replace(camera(), size=(192, 144))))
    with small_disk:
        for _ in range(50):
            next(stream)
    assert not old.exists()
    stream.close()  # type: ignore[attr-defined]


def test_after_a_failure_only_complete_segments_have_their_names(tmp_path: Path) -> None:
    def failing() -> Iterator[Frame]:
        yield from frames(25)
        raise Aborted

    with pytest.raises(Aborted):
        list(Write(str(tmp_path / "a.mp4"), segment=2)(failing()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-000000.mp4", "a-000002.mp4.part"]


def test_a_folder_has_files_of_every_source_and_yesterdays_live_ones_stay(tmp_path: Path) -> None:
    one, two = camera("rtsp://me:***@host/one"), camera("rtsp://host/two")
    mixed = [frame for pair in zip(frames(10, one), frames(10, two), strict=True) for frame in pair]
    for _ in range(2):
        list(Write(f"{tmp_path}/")(mixed))
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert len(names) == 4
    assert [name.partition("-2")[0] for name in names] == ["host-one", "host-one", "host-two", "host-two"]
    assert all(indices == list(range(10)) for indices in shown(tmp_path).values())


def test_one_file_cannot_hold_two_sources(tmp_path: Path) -> None:
    with pytest.raises(VidclfError, match=r"^one file cannot hold two sources \(a and b\)$"):
        list(Write(str(tmp_path / "a.mp4"))([*frames(1, camera("a")), *frames(1, camera("b"))]))


def test_a_camera_that_comes_back_with_other_pictures_gets_a_new_file(tmp_path: Path) -> None:
    source = camera()
    both = list(frames(20, source))
    for frame in both[10:]:
        frame.image = picture(frame.index, (160, 120))
    list(Write(str(tmp_path / "a.mp4"))(both))
    second, first = sorted(tmp_path.iterdir())
    assert first.name == "a.mp4" and second.name.startswith("a-2")
    assert (look(first).size, look(first).indices) == ((96, 72), list(range(10)))
    assert (look(second).size, look(second).indices) == ((160, 120), list(range(10, 20)))


def test_a_constant_rate_does_not_fill_the_hours_a_camera_was_away(tmp_path: Path) -> None:
    source = camera()
    both = list(frames(20, source))
    for frame in both[10:]:
        frame.pts += 3_600_000
    list(Write(str(tmp_path / "a.mp4"), fps=RATE)(both))
    assert sorted(len(look(path).indices) for path in tmp_path.iterdir()) == [10, 10]


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
@pytest.mark.parametrize(("hole", "live"), [(599, True), (601, False)])
def test_a_hole_stays_in_the_file(tmp_path: Path, suffix: str, hole: int, live: bool) -> None:
    source = camera()
    source.live = live
    both = list(frames(20, source))
    for frame in both[10:]:
        frame.pts += hole * 1000
    list(Write(str(tmp_path / f"a.{suffix}"))(both))
    seen = look(tmp_path / f"a.{suffix}")
    assert seen.indices == list(range(20))
    assert seen.times == pytest.approx([frame.time for frame in both], abs=0.001)


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_a_camera_that_was_away_for_long_gets_a_new_file(tmp_path: Path, suffix: str) -> None:
    """No container can hold any hole."""
    both = list(frames(20, camera()))
    for frame in both[10:]:
        frame.pts += 9 * 3_600_000
    list(Write(str(tmp_path / f"a.{suffix}"))(both))
    second, first = (look(path) for path in sorted(tmp_path.iterdir()))
    assert (first.indices, second.indices) == (list(range(10)), list(range(10, 20)))
    assert first.times == second.times == pytest.approx([n / RATE for n in range(10)], abs=0.001)


def test_events_are_written_from_before_the_first_sight_to_after_the_last(tmp_path: Path) -> None:
    write = Write(str(tmp_path / "a.mp4"), only_when=["Person"], pre_roll="500ms", post_roll=1.0)
    passed = list(write(frames(100, seen=lambda n: n in (20, 25) or n == 70)))
    assert len(passed) == 100
    assert shown(tmp_path) == {"a-000001.mp4": list(range(15, 36)), "a-000006.mp4": list(range(65, 81))}


@pytest.mark.parametrize(("only_when", "count"), [(["coat"], 1), (["any"], 1), (["dog", "person"], 1), (["dog"], 0)])
def test_an_event_is_a_kind_a_label_or_anything(tmp_path: Path, only_when: list[str], count: int) -> None:
    list(Write(str(tmp_path / "a.mp4"), only_when=only_when, pre_roll=0)(frames(30, seen=lambda n: n == 5)))
    assert len(list(tmp_path.iterdir())) == count


def test_a_long_event_is_cut_into_segments(tmp_path: Path) -> None:
    write = Write(str(tmp_path / "a.mp4"), only_when=["any"], pre_roll=0, post_roll=0, segment=2)
    list(write(frames(60, seen=lambda n: 10 <= n < 50)))
    assert shown(tmp_path) == {"a-000001.mp4": list(range(10, 30)), "a-000003.mp4": list(range(30, 50))}


def test_what_is_kept_before_an_event_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recording, "PRE_ROLL_BYTES", 10_000)
    list(Write(str(tmp_path / "a.mp4"), only_when=["any"], pre_roll=60)(frames(100, seen=lambda n: n == 90)))
    (indices,) = shown(tmp_path).values()
    assert 80 < indices[0] < 90
    assert indices == list(range(indices[0], 100))


@contextmanager
def counted(
    plan: _recording.Plan, taken: set[Path] | None = None
) -> Iterator[tuple[_recording.Recording, list[Fraction]]]:
    """A recording of a camera, and the times of the pictures that reached its files so far."""
    times: list[Fraction] = []

    class File:
        is_complete = False

        def show(self, _: np.ndarray, at: Fraction) -> None:
            times.append(at)

    @contextmanager
    def opener(*_: object) -> Iterator[File]:
        yield File()

    with _recording.Recording(Path("a.mp4"), camera(), plan, opener, set() if taken is None else taken) as recording:
        yield recording, times


EVENT = _recording.Plan(only_when=frozenset({"any"}), pre_roll=Fraction(3), post_roll=Fraction(60))


def test_what_is_kept_is_written_over_the_frames_that_follow() -> None:
    """All of it at once takes seconds, in which a live source's frames would be forgotten."""
    most = 0
    with counted(EVENT) as (recording, times):
        for frame in frames(100, seen=lambda n: n in (50, 60)):
            before = len(times)
            recording.write(frame)
            most = max(most, len(times) - before)
        assert times == [Fraction(n, RATE) for n in range(80)]  # from 3 s before frame 50: it has caught up
    assert most == _recording.CATCH_UP + 1


def test_what_waits_to_be_written_is_bounded_and_none_of_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_recording, "PRE_ROLL_BYTES", 100_000)
    noise = np.random.default_rng(1).integers(0, 256, (288, 384, 3), np.uint8)  # a JPEG of more than that
    with counted(EVENT) as (recording, times):
        for frame in frames(60, seen=lambda n: n == 50):
            if frame.index > 55:
                frame.image = noise
            recording.write(frame)
            if frame.index in (55, 59):
                assert len(times) == {55: 12, 59: 40}[frame.index]
    assert len(times) == 40


def test_files_of_a_live_source_are_forgotten_when_they_are_finished() -> None:
    taken: set[Path] = set()
    with counted(_recording.Plan(segment=Fraction(1)), taken) as (recording, _):
        for frame in frames(100):
            recording.write(frame)
            assert len(taken) == 1
    assert not taken


@pytest.mark.parametrize("ends", ["event", "source", "closed", "failed"])
def test_an_event_that_ends_soon_is_whole(tmp_path: Path, ends: str) -> None:
    def stream() -> Iterator[Frame]:
        yield from frames(60 if ends == "event" else 52, seen=lambda n: n == 50)
        if ends == "failed":
            raise Aborted

    written = Write(str(tmp_path / "a.mp4"), only_when=["any"], pre_roll=3, post_roll="100ms")(stream())
    if ends == "closed":
        for _ in range(52):
            next(written)
        written.close()  # type: ignore[attr-defined]
    elif ends == "failed":
        with pytest.raises(Aborted):
            list(written)
    else:
        list(written)
    assert shown(tmp_path) == {f"a-000002.mp4{'.part' * (ends == 'failed')}": list(range(20, 52))}


def test_old_segments_are_deleted_while_new_ones_are_written(tmp_path: Path) -> None:
    source = camera()
    (tmp_path / "a-20200101T000000Z.mp4").write_bytes(b"x" * 100_000)
    (tmp_path / "a-holiday.mp4").write_bytes(b"x" * 100_000)
    list(Write(str(tmp_path / "a.mp4"), segment=1, keep_size="90k")(frames(30, source)))
    names = {path.name for path in tmp_path.iterdir()}
    assert "a-20200101T000000Z.mp4" not in names and "a-holiday.mp4" in names
    assert len(names) == 1 + 3


def test_what_a_killed_run_left_is_deleted_but_not_what_this_one_writes(tmp_path: Path) -> None:
    left = tmp_path / "host-two-20200101T000000Z.mp4.part"
    left.touch()
    away = frames(5, camera("rtsp://host/one"))
    both = [*away, *frames(25, camera("rtsp://host/two"))]
    stream = Write(f"{tmp_path}/", segment=1, keep="1h")(both)
    for _ in range(5):
        next(stream)
    (writing,) = tmp_path.glob("host-one-*.part")
    for path in (left, writing):
        os.utime(path, (1, 1))
    for _ in range(20):  # a segment ends
        next(stream)
    assert (left.exists(), writing.exists()) == (False, True)
    stream.close()  # type: ignore[attr-defined]


def test_files_grow_old_though_their_camera_gives_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.stages.write.SWEEP_SECONDS", 0.05)
    old, other = (tmp_path / f"{name}-20200101T000000Z.mp4" for name in ("host-dead", "host-other"))
    for path in (old, other):
        path.touch()
        os.utime(path, (1, 1))
    pipeline = Pipeline([Camera("rtsp://host/dead", state="absent"), Write(f"{tmp_path}/", segment=1, keep="1h")])
    run = Thread(target=pipeline.run)
    run.start()
    try:
        until(lambda: not old.exists())  # while no frame comes
    finally:
        pipeline.stop()
        run.join(20)
    assert other.exists()  # it is no camera of this run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "7d"}, "keep and keep_size delete old segments or events; set segment or only_when, too"),
        ({"segment": "soon"}, "segment must be a time above 0, like 90s, 10m or 1h30m, got 'soon'"),
        ({"segment": 1, "keep_size": "lots"}, "keep_size must be a size above 0, like 500M or 50G, got 'lots'"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Write("a.mp4", **options)
    assert str(caught.value) == message


def test_sound_goes_on_between_pictures_that_are_far_apart(tmp_path: Path) -> None:
    """A screen recording: what was said between the last picture of a segment and the first of the next was lost."""
    clip = write_clip(tmp_path / "clip.mkv", times=[0, 1, 2, 3, 4], sound="aac")
    list(Write(str(tmp_path / "out" / "a.mp4"), segment=2)(Capture(str(clip))()))  # type: ignore[arg-type]
    parts = [look(path) for path in sorted((tmp_path / "out").iterdir())]
    assert [part.indices for part in parts] == [[0, 1], [2, 3], [4]]
    assert [len(part.sound) / part.sound_rate for part in parts[:2]] == pytest.approx([2, 2], abs=0.1)
