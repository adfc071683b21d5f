from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clips import index_of, look, picture, write_clip
from tests.frames import make_source
from vidclf.channel import Aborted
from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Frame, Source
from vidclf.stages.capture import Capture
from vidclf.stages.write import Write

BACKENDS = [
    "pyav",
    "opencv",
    pytest.param("skvideo", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs the program ffmpeg")),
]


def numbered(count: int, size: tuple[int, int] = (96, 72), source: Source | None = None) -> Iterator[Frame]:
    source = source or make_source(size=size)
    for index in range(count):
        yield Frame(source, index, index, picture(index % 256, size))


def write(frames: Iterable[Frame], path: Path, **options: object) -> list[Frame]:
    return list(Write(str(path), **options)(frames))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("backend", BACKENDS)
class TestEveryBackend:
    """The contract of the three writers."""

    @pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "avi"])
    def test_every_frame_is_written_and_handed_on(self, tmp_path: Path, backend: str, suffix: str) -> None:
        frames = list(numbered(30))
        written = write(frames, tmp_path / f"out.{suffix}", backend=backend)
        assert written == frames  # the very same
        seen = look(tmp_path / f"out.{suffix}")
        assert seen.indices == list(range(30))
        if not (suffix == "avi" and backend == "skvideo"):  # H.264 in AVI: FFmpeg's reader counts one frame too late
            assert seen.times == pytest.approx([i / 25 for i in range(30)], abs=0.0006)
        assert names(tmp_path) == [f"out.{suffix}"]

    @pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
    @pytest.mark.parametrize("name", ["12:30.mp4", "file:a.mp4", "pipe:1.mp4", "a%03d.mp4", "-a.mp4", "a?#b.mp4"])
    def test_a_name_is_a_files_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, name: str
    ) -> None:
        """FFmpeg takes 12: for a protocol; with file: the output had another name, and was not found."""
        monkeypatch.chdir(tmp_path)
        write(numbered(3), Path(name), backend=backend)
        assert names(tmp_path) == [name]
        assert look(tmp_path / name).indices == [0, 1, 2]

    def test_odd_sides_repeat_the_last_row_and_column(self, tmp_path: Path, backend: str) -> None:
        write(numbered(3, (97, 73)), tmp_path / "out.mp4", backend=backend)
        seen = look(tmp_path / "out.mp4")
        assert (seen.size, seen.indices) == ((98, 74), [0, 1, 2])

    def test_size_scales_and_keeps_the_shape(self, tmp_path: Path, backend: str) -> None:
        write(numbered(3), tmp_path / "out.mp4", backend=backend, size=(128, 72))
        with_bars = [frame.image for frame in Capture(str(tmp_path / "out.mp4"))()]
        assert {image.shape for image in with_bars} == {(72, 128, 3)}
        assert with_bars[0][:, :15].max() < 20
        assert [index_of(image[:, 16:112]) for image in with_bars] == [0, 1, 2]

    def test_a_stage_may_have_changed_the_size(self, tmp_path: Path, backend: str) -> None:
        def halve(frames: Iterable[Frame]) -> Iterator[Frame]:
            for frame in frames:
                frame.image = np.ascontiguousarray(frame.image[::2, ::2])
                yield frame

        write(halve(numbered(3, (192, 144))), tmp_path / "out.mp4", backend=backend)
        seen = look(tmp_path / "out.mp4")
        assert (seen.size, seen.indices) == ((96, 72), [0, 1, 2])

    @pytest.mark.parametrize(("fps", "count"), [(5, 10), (12.5, 25), (50, 100), (29.97, 60)])
    def test_fps_keeps_the_duration(self, tmp_path: Path, backend: str, fps: float, count: int) -> None:
        write(numbered(50), tmp_path / "out.mkv", backend=backend, fps=fps)
        seen = look(tmp_path / "out.mkv")
        assert len(seen.times) == count  # two seconds
        assert seen.times == pytest.approx([i / fps for i in range(count)], abs=0.0011)
        assert all(
            abs(index - time * 25) <= max(1, 13 / fps) for index, time in zip(seen.indices, seen.times, strict=True)
        )

    def test_what_a_later_stage_draws_is_not_in_the_file(self, tmp_path: Path, backend: str) -> None:
        for frame in Write(str(tmp_path / "out.mp4"), backend=backend)(numbered(10)):
            frame.image[:] = 0
        assert look(tmp_path / "out.mp4").indices == list(range(10))

    @pytest.mark.parametrize("name", ["out.mp4", "out.mp4.part", "out.part.mp4"])
    def test_what_is_read_is_not_written_to(self, tmp_path: Path, backend: str, name: str) -> None:
        if name == ("out.part.mp4" if backend == "pyav" else "out.mp4.part"):
            return  # another writer's part
        write(numbered(3), tmp_path / "in.mp4")
        source = (tmp_path / "in.mp4").rename(tmp_path / name)
        whole = source.read_bytes()
        with pytest.raises(UsageError, match="is the file being read; write to another file"):
            list(Write(str(tmp_path / "out.mp4"), backend=backend, force=True)(Capture(str(source))()))
        assert source.read_bytes() == whole

    def test_what_another_run_writes_is_refused(self, tmp_path: Path, backend: str) -> None:
        stream = iter(Write(str(tmp_path / "out.mp4"), backend=backend)(numbered(50)))
        next(stream)
        with pytest.raises(UsageError, match=r"out\.mp4 is being written by another run$"):
            Write(str(tmp_path / "out.mp4"), backend=backend, force=True)
        stream.close()
        assert names(tmp_path) == ["out.mp4"]

    def test_closed_early_the_file_is_complete(self, tmp_path: Path, backend: str) -> None:
        stream = iter(Write(str(tmp_path / "out.mp4"), backend=backend)(numbered(50)))
        for _ in range(20):
            next(stream)
        assert not (tmp_path / "out.mp4").exists()
        stream.close()
        assert look(tmp_path / "out.mp4").indices == list(range(20))
        assert names(tmp_path) == ["out.mp4"]

    @pytest.mark.parametrize("error", [Aborted, ValueError, KeyboardInterrupt])
    def test_after_a_failure_a_playable_part_stays(self, tmp_path: Path, backend: str, error: type) -> None:
        def fail() -> Iterator[Frame]:
            yield from numbered(20)
            raise error

        with pytest.raises(error):
            write(fail(), tmp_path / "out.mp4", backend=backend)
        (part,) = names(tmp_path)
        assert part == ("out.mp4.part" if backend == "pyav" else "out.part.mp4")
        assert look(tmp_path / part).indices == list(range(20))

    def test_no_frame_no_file(self, tmp_path: Path, backend: str) -> None:
        assert write([], tmp_path / "out.mp4", backend=backend) == []
        assert names(tmp_path) == []

    def test_one_frame(self, tmp_path: Path, backend: str) -> None:
        write(numbered(1), tmp_path / "out.mp4", backend=backend)
        assert look(tmp_path / "out.mp4").indices == [0]

    def test_a_full_disk_is_one_line(
        self, tmp_path: Path, backend: str, small_disk: AbstractContextManager[None], capfd: pytest.CaptureFixture[str]
    ) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (144, 192, 3), np.uint8)
        source = make_source(size=(192, 144))
        frames = (Frame(source, i, i, np.roll(noise, i, 0)) for i in range(60))
        with small_disk, pytest.raises(VidclfError, match=r"^cannot write .*out") as raised:
            write(frames, tmp_path / "out.mp4", backend=backend)
        assert "\n" not in str(raised.value)
        if backend == "pyav":
            assert str(raised.value) == f"cannot write {tmp_path / 'out.mp4'}: File too large"
        assert not (tmp_path / "out.mp4").exists()
        assert capfd.readouterr() == ("", "")

    def test_it_writes_again_only_with_force(self, tmp_path: Path, backend: str) -> None:
        stage = Write(str(tmp_path / "out.mp4"), backend=backend)
        list(stage(numbered(3)))
        with pytest.raises(UsageError, match=r"out\.mp4 exists; --force"):
            list(stage(numbered(3)))
        write(numbered(5), tmp_path / "out.mp4", backend=backend, force=True)
        assert len(look(tmp_path / "out.mp4").times) == 5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("live", [True, False])
def test_what_a_live_run_left_is_kept(
    tmp_path: Path, backend: str, live: bool, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_source(size=(96, 72))
    source.live = live
    part = tmp_path / ("out.mp4.part" if backend == "pyav" else "out.part.mp4")
    part.write_text("pictures")
    write(numbered(3, source=source), tmp_path / "out.mp4", backend=backend)
    assert look(tmp_path / "out.mp4").indices == [0, 1, 2]
    assert names(tmp_path) == sorted(["out.mp4", *[f"{part.name}-1"] * live])
    told = f"{part} was left by an unfinished run; it is kept as {part.name}-1"
    assert caplog.messages == [told] * live


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "ts"])
def test_times_are_the_sources_own(tmp_path: Path, suffix: str) -> None:
    times = [0, 0.1, 0.15, 0.5, 0.51, 2, 2.033]
    clip = write_clip(tmp_path / "clip.mp4", times=times)
    write(Capture(str(clip))(), tmp_path / f"out.{suffix}")
    seen = look(tmp_path / f"out.{suffix}")
    assert seen.indices == list(range(7))
    assert seen.times == pytest.approx(times, abs=0.0006)


def test_avi_knows_a_constant_rate_only_but_loses_no_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", times=[0, 0.1, 0.15, 0.5, 0.51, 1])
    write(Capture(str(clip))(), tmp_path / "out.avi")
    assert look(tmp_path / "out.avi").indices == list(range(6))


@pytest.mark.parametrize("options", [{}, {"size": (128, 72)}])
def test_pixels_that_are_no_squares_stay_so(tmp_path: Path, options: dict) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3, context_sample_aspect_ratio=Fraction(16, 11))
    write(Capture(str(clip))(), tmp_path / "out.mp4", **options)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


def test_pictures_of_another_size_than_the_sources_say_nothing_of_their_pixels(tmp_path: Path) -> None:
    source = make_source(size=(180, 72))
    source.sample_aspect_ratio = Fraction(16, 11)
    write(numbered(3, source=source), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio is None


@pytest.mark.parametrize("rate", [Fraction(1_350_000, 45_001), Fraction(30_000, 1001), Fraction(240), Fraction(1, 9)])
def test_avi_has_the_sources_rate_however_it_is_written(tmp_path: Path, rate: Fraction) -> None:
    source = Source("clip", (96, 72), rate=rate, time_base=1 / rate)
    write(numbered(12, source=source), tmp_path / "out.avi")
    with av.open(str(tmp_path / "out.avi")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == pytest.approx(rate, rel=1e-6)
        assert stream.frames == 12


def test_a_constant_rate_that_mpeg4_cannot_express_is_met_as_well_as_it_can(tmp_path: Path) -> None:
    write(numbered(25), tmp_path / "out.mp4", codec="mpeg4", fps=99.1234)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == pytest.approx(99.1234, rel=1e-5)
        assert container.duration == pytest.approx(1_000_000, abs=12_000)


def test_a_frame_that_a_stage_repeats_is_written_once(tmp_path: Path) -> None:
    repeated = (frame for frame in numbered(5) for _ in range(2))
    assert len(write(repeated, tmp_path / "out.mp4")) == 10
    assert look(tmp_path / "out.mp4").indices == list(range(5))


def test_frames_that_a_stage_drops_leave_the_others_where_they_are(tmp_path: Path) -> None:
    write((frame for frame in numbered(20) if frame.index % 3 == 1), tmp_path / "out.mp4")
    seen = look(tmp_path / "out.mp4")
    assert seen.indices == list(range(1, 20, 3))
    assert seen.times == pytest.approx([i / 25 for i in range(1, 20, 3)])


def test_strange_clocks(tmp_path: Path) -> None:
    """A time base finer, and one coarser, than any container's; a rate nobody knows."""
    for number, base in enumerate([Fraction(1, 1_000_000), Fraction(1, 3), Fraction(1001, 30_000)]):
        source = Source("clip", (96, 72), rate=None, time_base=base)
        frames = [Frame(source, i, round(Fraction(i, 3) / base), picture(i)) for i in range(9)]
        for suffix in ("mp4", "mkv", "ts", "avi"):
            path = tmp_path / f"{number}.{suffix}"
            write(frames, path)
            assert look(path).indices == list(range(9))
            assert look(path).times == pytest.approx([frame.time for frame in frames], abs=0.021)


def test_two_sources_do_not_fit_into_one_file(tmp_path: Path) -> None:
    with pytest.raises(VidclfError, match=r"one file cannot hold two sources \(a and b\)"):
        write([*numbered(1, source=make_source("a")), *numbered(1, source=make_source("b"))], tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": ""}, "write needs a path"),
        ({"path": "out.xyz"}, r"cannot write \.xyz \(out\.xyz\); use one of \.mp4, "),
        ({"path": "out"}, r"cannot write a file without suffix \(out\); use one of \.mp4, .*; a folder must end in /$"),
        ({"codec": "nosuch"}, "unknown codec 'nosuch'; use one of h264, "),
        ({"path": "out.webm", "codec": "h264"}, r"a \.webm file cannot hold h264; it can hold av1, vp9$"),
        ({"quality": 64}, "quality must be 0 to 63, got 64"),
        ({"fps": 0}, "fps must be 0.01 to 1000, got 0"),
        ({"fps": 0.0001}, "fps must be 0.01 to 1000, got 0.0001"),
        ({"size": (1, 9)}, "size must be 2x2 to 16384x16384, got 1x9"),
        ({"size": (9, 100_000)}, "size must be 2x2 to 16384x16384, got 9x100000"),
        ({"backend": "opencv", "path": "out.webm"}, r"the opencv writer cannot write out\.webm; the suffix must be "),
        (
            {"backend": "opencv", "codec": "h264x"},
            "the opencv writer needs a FourCC, such as mp4v or MJPG, got 'h264x'",
        ),
        ({"backend": "opencv", "quality": 9}, "the opencv writer has no quality setting"),
        ({"backend": "skvideo", "path": "out.xyz"}, r"the skvideo writer cannot write out\.xyz; "),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"^{message}"):
        Write(**({"path": "out.mp4"} | options))
    assert names(tmp_path) == []


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs the program ffmpeg")
def test_what_ffmpeg_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(VidclfError, match=r"cannot write .*out\.part\.mp4: ffmpeg says: .*nosuch"):
        write(numbered(50), tmp_path / "out.mp4", backend="skvideo", codec="nosuch")
