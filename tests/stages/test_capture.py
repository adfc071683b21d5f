from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from threading import Thread, Timer
from time import perf_counter

import av
import cv2
import numpy as np
import pytest

from tests.clips import MARK, blocks, index_of, look, picture, turn_metadata, write_clip
from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Detection, Frame
from vidclf.pipeline import Pipeline
from vidclf.rows import BOX, to_row
from vidclf.stages.capture import Capture
from vidclf.stages.write import Write
from vidclf.video.opening import hardware_decoder


def read(path: Path | str, **options: object) -> list[Frame]:
    return list(Capture(str(path), **options)())


def numbers(frames: list[Frame]) -> list[int]:
    return [index_of(frame.image) for frame in frames]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 30, rate=25, sound="aac")


def test_frames_are_what_the_design_says(clip: Path) -> None:
    frames = read(clip)
    source = frames[0].source
    assert source.name == str(clip)
    assert (source.size, source.rate, source.frames, source.live) == ((96, 72), 25, 30, False)
    assert source.duration == pytest.approx(1.2, abs=0.05)
    assert source.ended
    assert [frame.index for frame in frames] == list(range(30)) == numbers(frames)
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(30)])
    for frame in frames:
        assert frame.source is source
        assert (frame.image.shape, frame.image.dtype) == ((72, 96, 3), np.uint8)
        assert frame.image.flags.c_contiguous and frame.image.flags.writeable


def test_decoding_in_hardware_or_where_there_is_none_in_software(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = write_clip(tmp_path / "odd.mkv", 5, codec="ffv1")  # what no GPU decodes
    hardware_decoder.cache_clear()
    assert numbers(read(clip, hardware=True)) == list(range(30))
    assert numbers(read(odd, hardware=True)) == list(range(5))
    said = [record.message for record in caplog.records]
    assert said == ([] if hardware_decoder() else ["no hardware decoder found; decoding in software"])


def test_in_real_time_frames_come_at_their_own_times(clip: Path) -> None:
    capture = Capture(str(clip), realtime=True)
    capture.attach(Pipeline([capture]))
    began = perf_counter()
    got = list(capture())
    frames = [frame for frame in got if frame]
    assert len(frames) == 30
    assert 29 / 25 <= perf_counter() - began < 20  # seconds; the machine may be busy
    assert len(got) > 30  # while it waits it can be stopped
    assert all(frame.captured >= began + frame.time for frame in frames)


def test_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 0.1, 0.15, 0.5, 0.51, 2]
    for suffix in ("mp4", "mkv"):
        assert [f.time for f in read(write_clip(tmp_path / f"a.{suffix}", times=times))] == pytest.approx(
            times, abs=5e-4
        )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_and_mirrored_clips_come_out_upright(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3, context_sample_aspect_ratio=Fraction(16, 11))
    turn_metadata(path, degrees, mirrored)
    frames = read(path)
    lies = degrees in (90, 270)
    assert frames[0].source.size == ((72, 96) if lies else (96, 72))
    assert frames[0].source.sample_aspect_ratio == (Fraction(11, 16) if lies else Fraction(16, 11))
    for number, frame in enumerate(frames):
        stored = cv2.flip(picture(number), 1) if mirrored else picture(number)
        expected = np.rot90(stored, -degrees // 90)
        assert frame.image.flags.c_contiguous
        assert frame.image.shape == expected.shape
        assert np.abs(cv2.blur(frame.image, (9, 9)).astype(int) - cv2.blur(expected, (9, 9))).mean() < 12


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tenbit.mp4", {"pix_fmt": "yuv420p10le"}),
        ("tenbit.mkv", {"pix_fmt": "yuv422p10le", "codec": "libx265", "x265-params": "log-level=none"}),
        ("444.mp4", {"pix_fmt": "yuv444p"}),
        ("odd.mp4", {"pix_fmt": "yuv444p", "size": (97, 73)}),
        ("full.mp4", {"context_color_range": 2}),
        ("bt709.mp4", {"context_colorspace": 1}),
        ("jpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "time_base": Fraction(1, 30)}),
        ("alpha.webm", {"codec": "libvpx-vp9", "pix_fmt": "yuva420p"}),
        ("alpha.nut", {"codec": "png", "pix_fmt": "rgba"}),
        ("palette.gif", {"codec": "gif", "pix_fmt": "bgr8", "rate": 10, "time_base": Fraction(1, 100)}),
        ("rgb.mkv", {"codec": "ffv1", "pix_fmt": "bgr0"}),
    ],
)
def test_every_kind_of_pixel_becomes_bgr_of_the_right_colours(tmp_path: Path, name: str, options: dict) -> None:
    frames = read(write_clip(tmp_path / name, 10, **options))
    width, height = options.get("size", (96, 72))
    assert numbers(frames) == list(range(10))
    tolerance = 20 if name.endswith("gif") else 8
    for frame in frames:
        assert frame.image.shape == (height, width, 3)
        assert np.abs(blocks(frame.image)[0] - MARK).max() < tolerance


def test_grey_is_black_to_white(tmp_path: Path) -> None:
    frame = read(write_clip(tmp_path / "grey.mkv", 1, codec="ffv1", pix_fmt="gray"))[0]
    assert blocks(frame.image)[0, 3] == pytest.approx([224] * 3, abs=4)
    assert blocks(frame.image)[1, 0] == pytest.approx([32] * 3, abs=4)


@pytest.mark.parametrize("pattern", ["%04d.png", "*.png"])
def test_a_pattern_of_pictures(tmp_path: Path, pattern: str) -> None:
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number + 7:04d}.png"), picture(number))
    frames = read(tmp_path / pattern, rate=5)
    assert numbers(frames) == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([i / 5 for i in range(12)])
    assert frames[0].source.uri is None


def test_a_single_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), picture(5))
    assert numbers(read(tmp_path / "one.png")) == [5]


@contextmanager
def pipe_of(path: Path) -> Iterator[Path]:
    """A pipe beside a file that gives the file's bytes once, as `cat FILE | vidclf run /dev/stdin` does."""
    pipe = path.with_suffix(".pipe")
    os.mkfifo(pipe)
    thread = Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    thread.start()
    yield pipe
    thread.join(10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_gives_all_its_pictures_and_no_sound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A second reader, for the sound, would take a part of the bytes: three of four frames were lost."""
    with pipe_of(write_clip(tmp_path / "clip.ts", 200, sound="aac")) as pipe:
        Pipeline([Capture(str(pipe)), Write(str(tmp_path / "out.mp4"))]).run()
    seen = look(tmp_path / "out.mp4")
    assert (seen.indices, seen.sound_codecs) == (list(range(200)), [])
    assert caplog.messages == [f"no sound from {pipe}: a pipe cannot be read twice"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("sound", ["aac", None])
def test_where_nobody_misses_the_sound_of_a_pipe_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sound: str | None
) -> None:
    with pipe_of(write_clip(tmp_path / "clip.ts", 30, sound=sound)) as pipe:
        Pipeline([Capture(str(pipe)), Write(str(tmp_path / "out.mp4"), audio=sound is None)]).run()
    assert look(tmp_path / "out.mp4").indices == list(range(30))
    assert caplog.messages == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_an_mp4_with_its_index_at_the_end_cannot_come_through_a_pipe(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 200, codec="mjpeg", pix_fmt="yuvj420p", time_base=Fraction(1, 30))
    assert clip.stat().st_size > 50_000  # FFmpeg can go back a little
    with pipe_of(clip) as pipe, pytest.raises(VidclfError) as raised:
        Pipeline([Capture(str(pipe)), lambda frames: frames]).run()
    assert str(raised.value) == (
        f"{pipe} is an MP4 with its index at the end, which cannot be read from a pipe; "
        "use a file, -movflags +faststart, or another format (.mkv, .ts)"
    )
    fast = write_clip(tmp_path / "fast.mp4", 5, muxer={"movflags": "+faststart"})
    with pipe_of(fast) as pipe:
        assert Pipeline([Capture(str(pipe)), lambda frames: frames]).run()["ledger"]["finished"] == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_without_a_pipeline_ctrl_c_is_not_lost_in_a_pipe(tmp_path: Path) -> None:
    """PyAV ignores a KeyboardInterrupt in what it calls: the pictures would seem to have ended."""
    clip = write_clip(tmp_path / "clip.ts", 60)
    os.mkfifo(tmp_path / "pipe.ts")
    writer = os.open(tmp_path / "pipe.ts", os.O_RDWR)
    os.write(writer, clip.read_bytes()[:40_000])
    timers = [Timer(1.0, os.kill, [os.getpid(), signal.SIGINT]), Timer(1.5, os.close, [writer])]
    for timer in timers:
        timer.start()
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path / "pipe.ts")
    for timer in timers:
        timer.join()


def stopped(pipeline: Pipeline, after: float) -> list[BaseException]:
    """The failures of a pipeline that is asked to stop after so many seconds, and does."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            pipeline.run()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(after)
    assert thread.is_alive()
    pipeline.stop()
    thread.join(20)
    assert not thread.is_alive()
    return failures


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_pipe_that_is_silent_can_be_stopped(tmp_path: Path, has_begun: bool) -> None:
    """Without a writer, it could not even be opened."""
    pipe, clip = tmp_path / "pipe.ts", write_clip(tmp_path / "clip.ts", 100)
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR) if has_begun else None
    if writer is not None:
        os.write(writer, clip.read_bytes()[:50_000])
    assert stopped(Pipeline([Capture(str(pipe)), Write(str(tmp_path / "out.mp4"))]), after=1.0) == []
    if writer is not None:
        os.close(writer)
        assert look(tmp_path / "out.mp4").indices[:3] == [0, 1, 2]


def test_a_server_that_is_silent_is_no_error_if_the_run_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.video.opening.PATIENCE", (2.0, 2.0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4"
        assert stopped(Pipeline([Capture(url), lambda frames: frames]), after=0.5) == []
        with pytest.raises(VidclfError, match=r"no data for 2 s\n"):
            Pipeline([Capture(url), lambda frames: frames]).run()


def test_stride_gives_every_so_many_th_and_counts_the_others(clip: Path) -> None:
    frames = read(clip, stride=4)
    assert numbers(frames) == [frame.index for frame in frames] == [0, 4, 8, 12, 16, 20, 24, 28]
    assert frames[0].source.dropped == {"stride": 22}
    assert frames[1].time == pytest.approx(4 / 25)


def test_while_it_skips_it_can_be_stopped(clip: Path, tmp_path: Path) -> None:
    """Ctrl-C waited for the next frame, which may be minutes away. Without a pipeline there are frames alone."""
    raw = write_clip(tmp_path / "clip.h264", 30, rate=25, time_base=Fraction(1, 25))  # no index: it cannot seek
    strides, skips = Capture(str(clip), stride=15), Capture(str(raw), start=1.0)
    assert [index_of(frame.image) for frame in strides()] == [0, 15]
    assert [index_of(frame.image) for frame in skips()] == [25, 26, 27, 28, 29]
    for capture in (strides, skips):
        capture.attach(Pipeline([capture]))
    assert [bool(frame) for frame in strides()] == [True, *[False] * 14] * 2
    assert [bool(frame) for frame in skips()] == [False] * 25 + [True] * 5


def test_max_frames(clip: Path) -> None:
    frames = read(clip, stride=2, max_frames=3)
    assert numbers(frames) == [0, 2, 4]
    assert not frames[0].source.ended


def test_start_counts_frames_anew_and_times_from_the_source(clip: Path) -> None:
    frames = read(clip, start=0.4, max_frames=2)
    assert [(f.index, index_of(f.image)) for f in frames] == [(0, 10), (1, 11)]
    assert [f.time for f in frames] == pytest.approx([0.4, 0.44])
    assert frames[0].source.begin == 0.4


def test_size_scales_and_keeps_the_shape(clip: Path) -> None:
    frame = read(clip, size=(48, 72), max_frames=1)[0]
    assert frame.image.shape == (72, 48, 3)
    assert frame.source.size == (48, 72)
    assert not frame.image[:17].any()
    assert not frame.image[-17:].any()
    assert index_of(frame.image[18:54]) == 0


@pytest.mark.parametrize("size", [(320, 180), (320, 240), (640, 180), (1280, 960)])
def test_what_is_scaled_is_recorded_in_the_sources_own_pixels(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = read(write_clip(tmp_path / "clip.mp4", 1, size=(640, 360)), size=size)[0]
    ys, xs = np.nonzero((frame.image[..., 2] > 128) & (frame.image[..., :2] < 128).all(axis=2))  # the red block
    box = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    row = to_row(frame, Detection(box))
    tolerance = 2 * 640 / size[0] + 2  # pixels; scaling blurs the edges
    assert [row[name] for name in BOX] == pytest.approx([0, 0, 160, 120], abs=tolerance)


def test_the_best_of_two_video_tracks(tmp_path: Path, clip: Path) -> None:
    small = write_clip(tmp_path / "small.mp4", 5, size=(32, 24))
    with av.open(str(small)) as a, av.open(str(clip)) as b, av.open(str(tmp_path / "two.mkv"), "w") as both:
        tracks = [(s, both.add_stream_from_template(s)) for s in (a.streams.video[0], b.streams.video[0])]
        for stream, track in tracks:
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = track
                    both.mux(packet)
    assert {frame.image.shape for frame in read(tmp_path / "two.mkv")} == {(72, 96, 3)}


def test_sound_alone_is_no_video(tmp_path: Path, clip: Path) -> None:
    with av.open(str(clip)) as container, av.open(str(tmp_path / "sound.m4a"), "w") as sound:
        track = sound.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(audio=0):
            if packet.size:
                packet.stream = track
                sound.mux(packet)
    with pytest.raises(VidclfError, match=r"sound\.m4a has no video track \(it holds: audio\)$"):
        read(tmp_path / "sound.m4a")


def test_the_start_may_have_a_unit(clip: Path) -> None:
    assert [f.pts for f in read(clip, start="400ms")] == [f.pts for f in read(clip, start=0.4)]


def test_nothing_after_the_start_is_an_error(clip: Path) -> None:
    with pytest.raises(VidclfError, match=r"no picture could be decoded from .*clip\.mp4 after 5 s"):
        read(clip, start=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": ""}, "capture needs a source"),
        ({"source": "-"}, r"source must be .*, a camera's number or a pattern of pictures, got - \(stdin\)"),
        (
            {"source": __file__, "live": True},
            f"live is for sources without an end, got the file {re.escape(__file__)}; realtime plays it in real time",
        ),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"start": -1}, "start must be a time, like 90s, 10m or 1h30m, got -1"),
        ({"start": float("nan")}, "start must be a time, like 90s, 10m or 1h30m, got nan"),
        ({"start": float("inf")}, "start must be a time, like 90s, 10m or 1h30m, got inf"),
        ({"max_frames": 0}, "max_frames must be at least 1, got 0"),
        ({"size": (0, 9)}, "size must be 1x1 to 16384x16384, got 0x9"),
        ({"size": (99_999, 99_999)}, "size must be 1x1 to 16384x16384, got 99999x99999"),
        ({"rate": 0}, "rate must be above 0 and at most 1000 pictures a second, got 0"),
        ({"rate": float("nan")}, "rate must be above 0 and at most 1000 pictures a second, got nan"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        Capture(**({"source": "clip.mp4"} | options))


def test_a_name_stands_for_the_address(clip: Path) -> None:
    assert read(clip.as_uri(), name="front door", max_frames=1)[0].source.name == "front door"
    with pytest.raises(UsageError, match=r"^name is for cameras and URLs; the file .*clip\.mp4 already has a name$"):
        Capture(str(clip), name="front door")


@pytest.mark.parametrize("name", ["", "a/b", "..", "-a", "a.b", 61 * "x"])
def test_a_name_has_to_fit_into_a_file_name(name: str) -> None:
    with pytest.raises(UsageError, match=r"^name must be up to 60 letters, digits, spaces, - and _, got '"):
        Capture("rtsp://host/a", name=name)


def test_it_can_be_run_again(clip: Path) -> None:
    capture = Capture(str(clip), stride=3)
    for _ in range(2):
        assert numbers(list(capture())) == list(range(0, 30, 3))
