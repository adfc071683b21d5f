from __future__ import annotations

import errno
import logging
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import av.error
import cv2
import pytest

from tests.clips import damage, index_of, write_clip
from vidclf.batch.job import fault_of
from vidclf.errors import VidclfError
from vidclf.frame import Frame
from vidclf.stages.capture import Capture
from vidclf.video import decoder
from vidclf.video.description import describe

REORDERED = {"x264-params": "bframes=3:b-adapt=0"}  # decoding order is not presentation order


def read(path: Path, **options: float) -> list[Frame]:
    return [frame for frame in Capture(str(path), **options)() if frame]


def numbers(frames: list[Frame]) -> list[int]:
    return [index_of(frame.image) for frame in frames]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts", "avi", "h264"])
def test_pictures_come_in_the_order_of_their_times(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", 30, rate=25, time_base=Fraction(1, 25), **REORDERED)
    frames = read(path)
    assert numbers(frames) == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(30)], abs=0.0006)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "h264"])
@pytest.mark.parametrize("start", [0.2, 1.0, 11.6])
def test_start_finds_its_frame_in_every_container(tmp_path: Path, suffix: str, start: float) -> None:
    """Key frames are far apart, and a transport stream has no index: the first seek often lands too late."""
    path = write_clip(tmp_path / f"clip.{suffix}", 300, rate=25, time_base=Fraction(1, 25), context_gop_size=100)
    frames = read(path, start=start, max_frames=3)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == pytest.approx([start, start + 0.04, start + 0.08], abs=0.0006)
    assert numbers(frames) == [(round(start * 25) + i) % 256 for i in range(3)]


def test_a_source_that_starts_anywhere_starts_at_zero(tmp_path: Path) -> None:
    late = [Fraction(7) + Fraction(i, 25) for i in range(5)]
    assert [round(f.time, 3) for f in read(write_clip(tmp_path / "a.ts", times=late))] == [0, 0.04, 0.08, 0.12, 0.16]


def test_the_ticks_of_a_clock_are_not_taken_for_pictures(tmp_path: Path) -> None:
    """FFmpeg guesses 90,000 pictures a second: of each, `write` with a constant rate made 3,600 copies."""
    frames = read(write_clip(tmp_path / "a.ts", times=[Fraction(i * i, 90) for i in range(8)]))
    assert [frame.time for frame in frames] == pytest.approx([i * i / 90 for i in range(8)], abs=0.0006)
    assert frames[0].source.rate is None


def test_a_codec_that_ffmpeg_does_not_know_is_named_as_the_reason(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 3)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_ZZZZZ/ISO/ZZZ"))
    with pytest.raises(VidclfError) as error:
        read(path)
    assert str(error.value) == f"the video track of {path} is in a codec that FFmpeg does not know"
    assert fault_of(error.value) == "bad"  # a batch does not retry it


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_corrupt_packet_costs_itself(tmp_path: Path, suffix: str) -> None:
    codec = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "time_base": Fraction(1, 30)}  # every packet stands alone
    path = write_clip(tmp_path / f"clip.{suffix}", 30, **codec)
    damage(path, [0, 12, 13, 29])
    frames = read(path)
    assert numbers(frames) == [i for i in range(30) if i not in (0, 12, 13, 29)]
    assert frames[0].source.corrupt == 4
    assert [frame.index for frame in frames] == list(range(26))


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, context_gop_size=10, muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames = read(path)
    assert 10 < len(frames) < 50
    assert numbers(frames) == list(range(len(frames)))
    assert frames[0].source.frames == 60  # the header lies
    assert f"clip.mp4 ends early: its header says 60 frames, it has {len(frames)}" in caplog.text


def test_a_failed_read_is_not_the_end_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", 30)
    container = av.open(str(path))
    real = list(container.demux(video=0))

    class Failing:
        """A container whose disk fails after ten packets: none at hand can be asked to."""

        format = container.format

        def demux(self, _: object) -> object:
            yield from real[:10]
            raise av.error.OSError(5, "Input/output error")

    source = read(path, max_frames=1)[0].source
    with pytest.raises(VidclfError, match=r"clip\.mp4 cannot be read any further: Input/output error"):
        list(decoder._decode(Failing(), container.streams.video[0], source))


def test_endless_broken_reads_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3)
    container = av.open(str(path))

    class Broken:
        format = container.format
        io_open = container.io_open

        def demux(self, _: object) -> object:
            raise av.error.InvalidDataError(1, "Invalid data")
            yield

    source = read(path, max_frames=1)[0].source
    with pytest.raises(VidclfError, match="100 reads failed in a row"):
        list(decoder._decode(Broken(), container.streams.video[0], source))
    assert source.corrupt == 100


def test_a_device_that_has_nothing_yet_is_asked_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = av.open(str(write_clip(tmp_path / "clip.mp4", 3)))
    source = describe(container, container.streams.video[0], "x", "x")

    class Polled:
        """Answers at once, every other time that it has nothing, and after three packets always that."""

        format, asked, left = container.format, 0, 3

        def demux(self, stream: object) -> object:
            while True:
                self.asked += 1
                if self.asked % 2 or not self.left:
                    raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
                self.left -= 1
                yield next(container.demux(stream))

    monkeypatch.setattr(decoder, "PATIENCE", (1.0, 1.0))
    polled = Polled()
    given = []
    with pytest.raises(VidclfError, match=r"^x sent no data for 1 s$"):
        given.extend(decoder._decode(polled, container.streams.video[0], source))
    assert given[0] is None  # it can be stopped while it waits
    assert polled.left == 0
    assert source.corrupt == 0


def test_a_change_of_size_in_mid_stream_is_letterboxed_to_the_first(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "1.h264", 10)
    second = write_clip(tmp_path / "2.h264", 10, first=10, size=(192, 72))
    (tmp_path / "both.h264").write_bytes(first.read_bytes() + second.read_bytes())
    frames = read(tmp_path / "both.h264")
    assert {frame.image.shape for frame in frames} == {(72, 96, 3)}
    assert numbers(frames[:10]) == list(range(10))
    assert not frames[15].image[:17].any()  # bars above and below
    assert not frames[15].image[-17:].any()
    assert [index_of(cv2.resize(frame.image[18:54], (96, 72))) for frame in frames[10:]] == list(range(10, 20))


def test_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg likes to print about what it repairs."""
    path = write_clip(tmp_path / "clip.mp4", 30, context_gop_size=5)
    damage(path, [7, 8])
    with caplog.at_level(logging.WARNING):
        read(path)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_an_avi_that_was_cut_keeps_its_times(tmp_path: Path) -> None:
    """It begins within a group of pictures: what cannot be decoded is no delay of the decoder."""
    whole = write_clip(tmp_path / "whole.avi", 75, rate=25, time_base=Fraction(1, 25), context_gop_size=25, **REORDERED)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.avi"), "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for packet in list(source.demux(stream))[10:-1]:
            packet.stream = copy
            output.mux(packet)
    frames = read(tmp_path / "cut.avi")
    times = dict(zip(numbers(frames), (frame.time for frame in frames), strict=True))
    assert times[30] == pytest.approx(30 / 25, abs=0.05)


def test_the_clock_of_another_programme_is_not_the_pictures(tmp_path: Path) -> None:
    sound = SimpleNamespace(start_time=2000 * 90_000, time_base=Fraction(1, 90_000))
    stream: Any = SimpleNamespace(start_time=89_000 * 90_000, time_base=Fraction(1, 90_000))
    kind = SimpleNamespace(name="mpegts")
    container: Any = SimpleNamespace(start_time=2000 * 1_000_000, streams=[sound, stream], format=kind)
    assert decoder.origin_of(container, stream) == 89_000
    sound.start_time, container.start_time = 88_999 * 90_000, 88_999 * 1_000_000  # its own sound
    assert decoder.origin_of(container, stream) == 88_999
    sound.start_time, container.start_time, kind.name = 0, 0, "matroska,webm"  # sound that begins an hour before
    assert decoder.origin_of(container, stream) == 0
