from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.clips import Seen, lag, look, write_clip
from vidclf.stages.capture import Capture
from vidclf.stages.write import Write
from vidclf.video.audio import _Transcoded


def through(source: Path, target: Path, **capture: float) -> Seen:
    """Captured and written, nothing between."""
    list(Write(str(target))(filter(None, Capture(str(source), **capture)())))
    return look(target)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    folder = tmp_path_factory.mktemp("clips")

    @cache
    def make(codec: str, suffix: str) -> tuple[Path, Seen]:
        video = "libvpx-vp9" if suffix == "webm" else "libx264"
        path = write_clip(
            folder / f"{codec}.{suffix}", 60, codec=video, sound=codec, sound_rate=48_000, context_gop_size=30
        )
        return path, look(path)

    return make


@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_the_delay_of_a_codec_moves_no_picture_and_no_sound(clip, tmp_path: Path, codec: str, target: str) -> None:
    """MP4 stores what AAC and MP3 encoders put before time zero; it must not push everything else to later."""
    source, before = clip(codec, "mp4")
    after = through(source, tmp_path / f"out.{target}")
    assert after.times == pytest.approx(before.times, abs=0.0006)
    assert after.indices == before.indices
    assert abs(lag(before, after)) < 0.0015
    assert len(after.sound) == pytest.approx(len(before.sound), abs=50)
    if target != "mkv":  # nothing is lost: not a bit is different
        assert np.array_equal(after.sound, before.sound)


@pytest.mark.parametrize("target", ["mp4", "mov", "mkv", "webm", "avi", "ts"])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("aac", "ts"), ("ac3", "ts"), ("libopus", "webm"), ("flac", "mkv"), ("pcm_s16le", "mkv"), ("pcm_s16le", "mov")],
)
def test_sound_goes_into_every_container_and_stays_in_step(
    clip, tmp_path: Path, codec: str, suffix: str, target: str
) -> None:
    source, before = clip(codec, suffix)
    after = through(source, tmp_path / f"out.{target}")
    assert after.indices == before.indices
    # AVI has no place to say that the pictures begin later than the sound.
    assert abs(lag(before, after)) < (0.067 if target == "avi" else 0.0015)
    seconds = len(before.sound) / before.sound_rate
    assert len(after.sound) / after.sound_rate == pytest.approx(seconds, abs=0.03)


@pytest.mark.parametrize("target", ["mp4", "mkv"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_part_of_the_source_keeps_its_sound_in_step(clip, tmp_path: Path, suffix: str, target: str) -> None:
    source, before = clip("aac", suffix)
    after = through(source, tmp_path / f"out.{target}", start=1.0, max_frames=15)
    first = next(i for i, time in enumerate(before.times) if time - min(before.times[0], before.sound_start) >= 1)
    assert after.indices == before.indices[first : first + 15]
    assert after.times[0] < 0.03
    # What is heard with the first picture is what was heard with it in the source.
    cut = round((before.times[first] - before.sound_start) * before.sound_rate)
    heard = Seen(sound=before.sound[cut:], sound_rate=before.sound_rate, times=[0.0])
    assert abs(lag(heard, after)) < 0.0015
    assert after.sound_start + len(after.sound) / after.sound_rate == pytest.approx(0.5 + after.times[0], abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "ac3"])
def test_a_track_that_has_ended_keeps_no_picture_back(clip, tmp_path: Path, codec: str) -> None:
    """MP4 had no header until it was closed, and with AC-3 the run failed then."""
    whole, _ = clip(codec, "mkv")
    with av.open(str(whole)) as given, av.open(str(tmp_path / "short.mkv"), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.size and (packet.stream.type == "video" or packet.pts * packet.time_base < 0.5):
                packet.stream = streams[packet.stream_index]
                output.mux(packet)
    after = through(tmp_path / "short.mkv", tmp_path / "out.mp4", start=1.0)
    assert len(after.indices) == 30
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio
    assert len(through(tmp_path / "short.mkv", tmp_path / "all.mp4").sound) > 0


def test_what_browsers_do_not_play_in_mp4_becomes_aac(clip, tmp_path: Path) -> None:
    source, _ = clip("pcm_s16le", "mov")
    through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec.name == "aac"


def test_a_change_of_layout_does_not_end_the_sound(tmp_path: Path) -> None:
    """As in a broadcast: it was silent from there on."""
    track = [*tones("stereo", 0, 40), *tones("mono", 40, 80)]
    output = av.open(str(tmp_path / "out.webm"), "w")
    source = av.open(str(write_clip(tmp_path / "clip.mkv", 3, sound="aac")))
    transcoded = _Transcoded(source.streams.audio[0], output)
    made = []
    for frame in track:
        made += transcoded.convert(SimpleNamespace(decode=lambda frame=frame: [frame]), 0)  # type: ignore[arg-type]
    made += transcoded.flush()
    seconds = sum(packet.duration * packet.time_base for packet in made)
    assert float(seconds) == pytest.approx(80 * 1024 / 48_000, abs=0.1)
    source.close()


def tones(layout: str, first: int, end: int) -> Iterator[av.AudioFrame]:
    for number in range(first, end):
        channels = 2 if layout == "stereo" else 1
        samples = np.full((1, channels * 1024), 100, np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.rate, frame.pts, frame.time_base = 48_000, number * 1024, Fraction(1, 48_000)
        yield frame


def test_sound_survives_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """Two recordings glued together, as MPEG-TS allows."""
    first = write_clip(tmp_path / "1.ts", 60, sound="aac")
    second = write_clip(tmp_path / "2.ts", 60, first=60, sound="aac", size=(160, 96))
    (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
    after = through(tmp_path / "both.ts", tmp_path / "out.mp4")
    assert after.indices == list(range(120))
    assert after.size == (96, 72)
    assert len(after.sound) / after.sound_rate == pytest.approx(4, abs=0.1)


def times_of(kind: str, path: Path) -> list[float]:
    """When each packet of a kind is due, in seconds."""
    with av.open(str(path)) as container:
        packets = container.demux(next(stream for stream in container.streams if stream.type == kind))
        return [float(packet.pts * packet.time_base) for packet in packets if packet.size]


@pytest.mark.parametrize("kinds", [["video"], ["audio"], ["video", "audio"]], ids="+".join)
def test_one_timestamp_far_ahead_moves_no_other_picture_and_no_sound(tmp_path: Path, kinds: list[str]) -> None:
    """A bit has flipped in one packet of each track; everything after it was two hours late."""
    whole = write_clip(tmp_path / "whole.mkv", 60, rate=25, sound="aac", tune="zerolatency")
    counts: Counter[int] = Counter()
    with av.open(str(whole)) as right, av.open(str(tmp_path / "wrong.mkv"), "w") as wrong:
        tracks = {stream: wrong.add_stream_from_template(stream) for stream in right.streams}
        for packet in right.demux():
            if packet.size:
                counts[packet.stream_index] += 1
                if counts[packet.stream_index] == 20 and packet.stream.type in kinds:
                    packet.pts += round(7200 / packet.time_base)
                packet.stream = tracks[packet.stream]
                wrong.mux(packet)
    before, after = look(whole), through(tmp_path / "wrong.mkv", tmp_path / "out.mkv")
    assert after.indices == before.indices
    assert np.array_equal(after.sound, before.sound)
    for kind in ("video", "audio"):
        assert times_of(kind, tmp_path / "out.mkv") == pytest.approx(times_of(kind, whole), abs=0.0015)


def test_every_audio_track_is_kept_with_its_language(tmp_path: Path) -> None:
    source = tmp_path / "two.mkv"
    plain = str(write_clip(tmp_path / "plain.mkv", 30, sound="aac"))
    with av.open(plain) as one, av.open(plain) as again, av.open(str(source), "w") as both:
        tracks = {stream: both.add_stream_from_template(stream) for stream in (*one.streams, again.streams.audio[0])}
        for track, language in zip(tracks.values(), ("eng", "deu", "fra"), strict=True):
            track.metadata["language"] = language
        for stream in tracks:
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = tracks[stream]
                    both.mux(packet)
            stream.container.seek(0)
    assert through(source, tmp_path / "out.mkv").sound_codecs == ["aac", "aac"]
    with av.open(str(tmp_path / "out.mkv")) as written:
        assert [s.metadata.get("language") for s in written.streams.audio] == ["deu", "fra"]


def test_no_sound_if_not_wanted(clip, tmp_path: Path) -> None:
    source, _ = clip("aac", "mp4")
    list(Write(str(tmp_path / "out.mp4"), audio=False)(Capture(str(source))()))
    assert look(tmp_path / "out.mp4").sound_codecs == []


@contextmanager
def one_time_server(content: bytes) -> Iterator[str]:
    """Gives its file once, as a link with a one-time token does, and refuses it from then on; its host and port."""
    asked = []

    class Once(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if len(asked) == 1 else 403)
            self.send_header("Content-Length", str(len(content) if len(asked) == 1 else 0))
            self.end_headers()
            if len(asked) == 1:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Once) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_without_its_sound_where_a_source_opens_only_once(
    clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, before = clip("aac", "mkv")
    with one_time_server(source.read_bytes()) as host:
        url = f"http://me:secret@{host}/clip.mkv"
        list(Write(str(tmp_path / "out.mp4"))(Capture(url)()))
    after = look(tmp_path / "out.mp4")
    assert (after.indices, after.sound_codecs) == (before.indices, [])
    said = f"no sound from http://me:***@{host}/clip.mkv: Server returned 403 Forbidden (access denied)"
    assert caplog.record_tuples == [("vidclf.video.audio", logging.WARNING, said)]


def test_a_track_in_an_unknown_codec_is_skipped(clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, before = clip("aac", "mkv")
    source = tmp_path / "clip.mkv"
    source.write_bytes(whole.read_bytes().replace(b"A_AAC", b"A_ZZZ"))
    after = through(source, tmp_path / "out.mp4")
    assert (after.indices, after.sound_codecs) == (before.indices, [])
    said = f"audio track 1 of {source} is skipped: FFmpeg does not know its codec"
    assert caplog.record_tuples == [("vidclf.video.audio", logging.WARNING, said)]


def test_sound_that_begins_before_the_pictures_stays_before_them(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "late.mp4", times=[Fraction(1, 2) + Fraction(i, 30) for i in range(30)], sound="aac")
    before, after = look(source), through(source, tmp_path / "out.mp4")
    assert after.times == pytest.approx(before.times, abs=0.0006)
    assert after.times[0] == 0.5
    assert abs(lag(before, after)) < 0.0015


@pytest.mark.parametrize(("video", "sound"), [("mpeg2video", "mp2"), ("libx264", "aac")])
def test_sound_that_begins_just_before_the_pictures_keeps_its_first_packet(
    tmp_path: Path, video: str, sound: str
) -> None:
    """Its first time, in ticks of 1/90000 s, is no whole microsecond: rounded, it came after that packet."""
    source, target = tmp_path / "clip.ts", tmp_path / "out.mp4"
    write_clip(source, 30, rate=25, codec=video, sound=sound, time_base=Fraction(1, 25))
    through(source, target)
    assert len(times_of("audio", target)) == len(times_of("audio", source)) > 30
