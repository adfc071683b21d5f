from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import perf_counter, sleep

import av
import av.error
import numpy as np
import pytest

from tests.clips import index_of, picture, write_clip
from tests.servers import RtspServer, free_port, mjpeg_server, sound_goes_on, udp_sender
from vidclf.errors import UsageError
from vidclf.frame import Frame
from vidclf.stages.capture import Capture
from vidclf.video.decoder import POLL

Stream = Iterator[Frame | None]


def watch(stream: Stream, until: Callable[[], bool], seconds: float = 30.0) -> list[Frame]:
    """The frames that come until a condition holds; fails if it does not in time, or the stream ends before."""
    frames, began = [], perf_counter()
    while not until():
        assert perf_counter() - began < seconds, f"not within {seconds:g} s"
        frame = next(stream)
        if frame is not None:
            frames.append(frame)
    return frames


def enough(stream: Stream, count: int, seconds: float = 30.0) -> list[Frame]:
    frames: list[Frame] = []
    began = perf_counter()
    while len(frames) < count:
        assert perf_counter() - began < seconds, f"{len(frames)} frames within {seconds:g} s"
        frame = next(stream)
        frames += [frame] if frame is not None else []
    return frames


def check_order(frames: list[Frame]) -> None:
    """One source, whose numbers and times go on."""
    assert len({frame.source for frame in frames}) == 1
    assert all(a.index < b.index and a.pts < b.pts for a, b in pairwise(frames))


def test_an_rtsp_camera_is_absent_comes_dies_and_comes_back_as_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with RtspServer("cam=160x120@25", start=False) as server:
        capture = Capture(server.url("cam", "me:secret@"))
        stream = capture()
        source = None
        watch(stream, lambda: capture.reading is not None and "refused" in capture.reading.problem)
        source = capture.reading
        assert source and source.live and source.state == "absent"
        server.start()
        frames = enough(stream, 10)
        assert source.state == "connected" and source.problem == "" and source.reconnects == 0
        assert {frame.image.shape for frame in frames} == {(120, 160, 3)}

        server.kill()
        died = perf_counter()
        frames += watch(stream, lambda: source.state == "reconnecting")
        server._mounts = ("cam=320x240@10",)
        server.start()
        restarted = perf_counter()
        frames += enough(stream, 10)
        assert perf_counter() - restarted < 10
        assert source.state == "connected" and source.reconnects == 1
        assert frames[-1].image.shape == (240, 320, 3) and source.size == (320, 240)
        check_order(frames)
        # Its times are the wall clock's: the gap shows in them.
        gap = max(b.time - a.time for a, b in pairwise(frames))
        assert gap == pytest.approx(perf_counter() - died, abs=perf_counter() - restarted + 1)
        stream.close()  # type: ignore[attr-defined]
    assert "secret" not in caplog.text and "me:***@" in caplog.text
    assert "secret" not in source.name + source.problem
    assert caplog.text.count("refused") <= 2  # said once an outage, not at every attempt


def test_a_stream_that_falls_silent_is_left_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.video.opening.LIVE_PATIENCE", (2.0, 1.0))
    with RtspServer("cam=160x120@25") as server:
        capture = Capture(server.url("cam"))
        stream = capture()
        frames = enough(stream, 5)
        source = frames[0].source
        server.stall()
        frames += watch(stream, lambda: source.state == "reconnecting")
        assert source.problem == "no data for 1 s"
        watch(stream, lambda: source.problem == "no data for 2 s")  # it accepts, and sends nothing
        server.go_on()
        frames += enough(stream, 5)
        assert source.reconnects == 1
        check_order(frames)


def test_pictures_that_stop_while_the_sound_goes_on_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state stayed "connected", and the run did not end when it was asked to."""
    monkeypatch.setattr("vidclf.video.opening.LIVE_PATIENCE", (5.0, 1.0))
    with sound_goes_on(2.0) as address:
        stream = Capture(address)()
        frames = enough(stream, 20)
        source = frames[0].source
        watch(stream, lambda: source.state == "reconnecting", 20)
        assert source.problem == "no data for 1 s"
        stream.close()  # type: ignore[attr-defined]


def test_a_pipeline_that_takes_long_is_no_silence_of_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.video.opening.LIVE_PATIENCE", (5.0, 0.5))
    with mjpeg_server(rate=25) as host:
        stream = Capture(f"http://{host}/video")()
        source = enough(stream, 3)[0].source
        sleep(1.0)
        enough(stream, 10)
        assert source.state == "connected" and source.reconnects == 0
        stream.close()  # type: ignore[attr-defined]


def test_mjpeg_over_http_has_the_times_of_its_arrival_and_is_connected_to_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mjpeg_server(rate=10, frames=15) as host:
        stream = Capture(f"http://{host}/video")()
        frames = enough(stream, 25)
        source = frames[0].source
        assert source.reconnects >= 1
        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert warnings[0] == f"http://{host}/video: the stream ended; trying again"
        first = [index_of(frame.image) for frame in frames if frame.index < 10]
        assert first == sorted(first)
        check_order(frames)
        # At 10 pictures a second, and not at the 25 that FFmpeg makes up.
        distances = [b.time - a.time for a, b in pairwise(frames[3:11])]
        assert sum(distances) / len(distances) == pytest.approx(0.1, abs=0.05)


def test_a_stream_of_broken_pictures_is_left_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.video.live.BARREN", 0.5)
    with mjpeg_server(rate=50, frames=200, good=30) as host:
        stream = Capture(f"http://{host}/video")()
        frames = enough(stream, 3)
        source = frames[0].source
        frames += watch(stream, lambda: source.state == "reconnecting")
        assert source.problem == "no picture for 0.5 s"
        assert source.corrupt > 5
        frames += enough(stream, 3)
        assert source.reconnects == 1
        check_order(frames)


def test_while_pictures_are_broken_it_can_be_stopped_and_is_given_up_if_told_so() -> None:
    with mjpeg_server(rate=50, frames=200, good=30) as host:
        capture = Capture(f"http://{host}/video", give_up_after="1s")
        given = list(capture())
        source = capture.reading
        assert source and (source.state, source.problem) == ("given up", "no picture for 1 s")
        assert any(given) and source.corrupt > 5
        assert given[-source.corrupt :] == [None] * source.corrupt  # after each it can be stopped


def test_mpegts_over_udp() -> None:
    port = free_port(socket.SOCK_DGRAM)
    capture = Capture(f"udp://127.0.0.1:{port}")
    stream = capture()
    with udp_sender(port):
        frames = enough(stream, 20)
    shown = [index_of(frame.image) for frame in frames]
    assert all(b > a for a, b in pairwise(shown))
    check_order(frames)


def hls(folder: Path, segments: int, ended: bool) -> Path:
    """A playlist of clips of one second at 10 pictures a second, the numbers going on."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number in range(segments):
        times = [number + n / 10 for n in range(10)]
        write_clip(folder / f"{number}.ts", times=times, rate=10, first=10 * number, tune="zerolatency", g=10)
        lines += ["#EXTINF:1.0,", f"{number}.ts"]
    lines += ["#EXT-X-ENDLIST"] * ended
    (folder / "list.m3u8").write_text("\n".join(lines) + "\n")
    return folder / "list.m3u8"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Quiet(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if "private" in self.path and self.headers["Authorization"] != "Bearer me":
                self.send_error(401)
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_playlist_that_has_an_end_is_a_recording(web: tuple[Path, str]) -> None:
    folder, address = web
    hls(folder, 3, ended=True)
    frames = [frame for frame in Capture(f"{address}/list.m3u8")() if frame]
    assert [index_of(frame.image) for frame in frames] == list(range(30))
    assert not frames[0].source.live and frames[0].source.ended


def test_a_live_playlist_begins_with_its_latest_segment_and_is_shown_at_its_own_speed(web: tuple[Path, str]) -> None:
    folder, address = web
    hls(folder, 5, ended=False)
    frames = enough(Capture(f"{address}/list.m3u8")(), 7)  # the last may come with the next segment
    assert index_of(frames[0].image) >= 40
    assert frames[0].source.live
    assert frames[-1].captured - frames[0].captured > 0.4  # they all came at once


def test_a_live_playlist_that_ends_may_begin_again(web: tuple[Path, str]) -> None:
    """A server that restarts ends its playlist: the camera was lost for good, and the run ended without an error."""
    folder, address = web
    hls(folder, 5, ended=False)
    capture = Capture(f"{address}/list.m3u8")
    stream = capture()
    enough(stream, 5)
    playlist = hls(folder, 5, ended=True)
    source = capture.reading
    assert source
    until = perf_counter() + 20
    while source.reconnects < 2 and perf_counter() < until:
        next(stream)
    assert source.state == "reconnecting"
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    assert all(frame.source is source for frame in enough(stream, 8))


def test_a_recording_over_http_whose_name_does_not_say_so(web: tuple[Path, str]) -> None:
    folder, address = web
    write_clip(folder / "clip.mp4", 12).rename(folder / "download")
    frames = [frame for frame in Capture(f"{address}/download")() if frame]
    assert [index_of(frame.image) for frame in frames] == list(range(12))
    assert not frames[0].source.live


def test_a_recording_over_http_gets_ffmpegs_options(web: tuple[Path, str]) -> None:
    folder, address = web
    write_clip(folder / "clip.mp4", 12).rename(folder / "private")
    frames = [f for f in Capture(f"{address}/private", options=["headers=Authorization: Bearer me\r\n"])() if f]
    assert [index_of(frame.image) for frame in frames] == list(range(12))


def test_the_last_pictures_of_a_stream_that_ends_come_although_other_tracks_end_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera's sound and its measurements; the decoder holds the last picture back until its own track ends."""
    path = tmp_path / "clip.ts"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=48_000, layout="stereo")
        video = output.add_stream("mpeg4", rate=25, options={"bf": "2"})
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        data = output.add_data_stream("klv")
        note = av.Packet(b"12.5 m")
        note.stream, note.time_base, note.pts, note.dts = data, Fraction(1, 90_000), 0, 0
        for n in range(25):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture(n), "bgr24")))
        output.mux(note)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 48_000), np.float32), "fltp", "stereo")
        silence.sample_rate = 48_000
        output.mux(sound.encode(silence))
        for stream in (video, sound):
            output.mux(stream.encode())
    monkeypatch.setattr("vidclf.video.live.open_live", lambda *_: av.open(str(path)))
    frames = enough(Capture("rtsp://127.0.0.1/cam")(), 50)  # it is connected to again
    assert [index_of(frame.image) for frame in frames] == 2 * list(range(25))


def test_a_stream_that_never_comes_is_given_up_if_told_so(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    capture = Capture(f"rtsp://me:secret@127.0.0.1:{port}/cam", give_up_after="1s")
    began = perf_counter()
    assert not any(capture())
    assert 1 < perf_counter() - began < 8
    assert capture.reading and capture.reading.problem == "Connection refused"
    assert f"giving up on rtsp://me:***@127.0.0.1:{port}/cam: no picture for 1 s" in caplog.messages


@pytest.mark.parametrize(("path", "seconds"), [("list.m3u8?a=b", 2), ("cam", 1)])
def test_a_server_that_never_answers_is_left_after_the_limit_that_is_told(
    monkeypatch: pytest.MonkeyPatch, path: str, seconds: int
) -> None:
    monkeypatch.setattr("vidclf.video.opening.LIVE_PATIENCE", (1.0, 1.0))
    monkeypatch.setattr("vidclf.video.opening.HLS_PATIENCE", (2.0, 2.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        capture = Capture(f"http://127.0.0.1:{silent.getsockname()[1]}/{path}", give_up_after="500ms")
        began = perf_counter()
        assert not any(capture())
    assert seconds <= perf_counter() - began < seconds + 5
    assert capture.reading and capture.reading.problem == f"no data for {seconds} s"


def test_a_page_without_video_is_told_as_such(web: tuple[Path, str]) -> None:
    folder, address = web
    (folder / "page").write_text("<html>This camera wants you to sign in.</html>")
    capture = Capture(f"{address}/page", give_up_after="1s")
    assert not any(capture())
    assert capture.reading and capture.reading.problem == "the server sends no video"


class Polled:
    """A container of a device that answers at once: its frame, or that it has none (avfoundation's EAGAIN)."""

    def __init__(self, path: Path, empty: int) -> None:
        self._inner = av.open(str(path))
        self.format, self.streams = self._inner.format, self._inner.streams
        self._empty, self.asked = empty, 0  # how often it has nothing before each frame; how often it was asked

    def __enter__(self) -> Polled:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def demux(self, *streams: object) -> Iterator[object]:
        while True:
            self.asked += 1
            if self.asked % (self._empty + 1):
                raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            packet = next(self._inner.demux(*streams), None)
            if packet is None:
                return
            yield packet


def polled(monkeypatch: pytest.MonkeyPatch, path: Path, empty: int) -> Capture:
    monkeypatch.setattr("vidclf.video.live.open_live", lambda *_: Polled(path, empty))
    return Capture("0")


def test_a_camera_that_has_nothing_yet_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = polled(monkeypatch, write_clip(tmp_path / "clip.mp4", 8), empty=3)
    stream = capture()
    assert next(stream) is None  # it can be stopped while it waits
    assert [index_of(frame.image) for frame in enough(stream, 8)] == list(range(8))
    assert capture.reading and capture.reading.state == "connected" and capture.reading.reconnects == 0
    assert capture.reading.corrupt == 0
    assert capture.reading.waited > 8 * 3 * POLL / 2


def test_a_capture_that_waits_for_its_camera_says_since_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a stage whose camera is silent would look busy."""
    since: list[float | None] = []

    class Slow(Polled):
        def demux(self, *streams: object) -> Iterator[object]:
            sleep(0.02)
            assert capture.reading
            since.append(capture.reading.waits_since)
            yield from super().demux(*streams)

    path = write_clip(tmp_path / "clip.mp4", 3)
    began = perf_counter()
    monkeypatch.setattr("vidclf.video.live.open_live", lambda *_: Slow(path, 1))
    capture = Capture("0")
    frames = enough(capture(), 3)
    assert all(at is not None and began < at < perf_counter() for at in since) and len(since) >= 3
    assert frames[0].source.waits_since is None
    assert frames[0].source.waited > 3 * 0.02


def test_a_camera_that_has_nothing_for_too_long_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.video.opening.LIVE_PATIENCE", (5.0, 1.0))
    capture = polled(monkeypatch, write_clip(tmp_path / "clip.mp4", 1), empty=1_000_000)
    stream = capture()
    watch(stream, lambda: capture.reading is not None and capture.reading.problem != "")
    assert capture.reading and capture.reading.problem == "no data for 1 s"


def test_a_local_camera_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"^no such camera: /dev/video99$"):
        list(Capture("/dev/video99")())
