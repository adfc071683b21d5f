from __future__ import annotations

from pathlib import Path

import av
import pytest

from vidclf.errors import UsageError, VidclfError
from vidclf.video import codecs
from vidclf.video.codecs import CONTAINERS, ENCODERS, HARDWARE, check_codec, choose_encoder, has_quality, opens

HELD = {  # what each suffix can hold, of the codecs we name
    ".mp4": "h264 hevc av1 vp9 mpeg4 mjpeg ffv1",
    ".m4v": "h264 hevc av1 vp9 mpeg4 mjpeg ffv1",
    ".mov": "h264 hevc mpeg4 mjpeg",
    ".mkv": "h264 hevc av1 vp9 mpeg4 mjpeg ffv1",
    ".webm": "av1 vp9",
    ".avi": "h264 av1 vp9 mpeg4 mjpeg ffv1",
    ".ts": "h264 hevc mpeg4",
}


@pytest.mark.parametrize("suffix", list(CONTAINERS))
def test_a_container_refuses_a_codec_it_cannot_hold_before_anything_is_opened(suffix: str) -> None:
    for codec in HELD[suffix].split():
        check_codec(Path(f"out{suffix}"), codec)
    for codec in set(ENCODERS) - set(HELD[suffix].split()):
        with pytest.raises(UsageError, match=rf"^a {suffix} file cannot hold {codec}; it can hold "):
            check_codec(Path(f"out{suffix}"), codec)


def test_an_encoder_may_be_named(tmp_path: Path) -> None:
    assert check_codec(tmp_path / "out.mp4", "libx264") == ("mp4", ["libx264"])
    with pytest.raises(UsageError, match="unknown codec 'nosuch'; use one of h264, hevc, "):
        check_codec(tmp_path / "out.mp4", "nosuch")
    with pytest.raises(UsageError, match="unknown codec 'aac'"):
        check_codec(tmp_path / "out.mp4", "aac")
    with pytest.raises(UsageError, match=r"cannot write \.xyz \(out\.xyz\); use one of \.mp4, "):
        check_codec(tmp_path / "out.xyz", None)


def test_a_quality_is_for_the_encoders_that_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Mac, its own encoder was taken, and the quality was ignored."""
    assert not has_quality("h264_videotoolbox") and has_quality("h264_nvenc")
    monkeypatch.setitem(ENCODERS, "h264", ["libx264rgb", "libx264"])
    assert check_codec(Path("out.mp4"), "h264")[1] == ["libx264rgb", "libx264"]
    assert check_codec(Path("out.mp4"), "h264", quality=18)[1] == ["libx264", "libx264rgb"]
    assert check_codec(Path("out.mkv"), "ffv1", quality=18)[1] == ["ffv1"]  # it loses nothing
    monkeypatch.setitem(ENCODERS, "h264", ["libx264rgb"])  # as without libx264: better one without than none
    assert check_codec(Path("out.mp4"), "h264", quality=18)[1] == ["libx264rgb"]


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available or opens("h264_nvenc"), reason="it works, or is not there")
def test_a_hardware_encoder_that_does_not_work_here_is_told_with_what_does() -> None:
    what = "the encoder h264_nvenc does not work on this machine, for pictures of 96x72"
    with pytest.raises(VidclfError, match=f"^{what}; use codec h264, which chooses one that does$"):
        choose_encoder(["h264_nvenc"], (96, 72))


def test_the_first_encoder_that_opens_is_taken() -> None:
    """FFmpeg lists hardware encoders that do not work; one that it does not know looks the same here."""
    assert choose_encoder(["nosuch_nvenc", "mpeg4"], (96, 72)) == "mpeg4"
    assert not opens("nosuch_nvenc")
    assert opens("mpeg4")


def test_a_gpu_that_has_enough_to_encode_already_gives_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """GeForce cards encode only some videos at a time; the last segments of a live run must not be lost for that."""
    sessions = [True, True]
    monkeypatch.setattr(codecs, "opens", lambda *_: bool(sessions and sessions.pop()))
    encoders = ["h264_nvenc", "mpeg4"]
    assert [choose_encoder(encoders, (98, 72)) for _ in range(2)] == ["h264_nvenc", "mpeg4"]
    assert caplog.messages == [
        "the encoder h264_nvenc does not work any more, maybe it has too much to do: using mpeg4"
    ]


def test_hardware_is_left_out_if_not_wanted() -> None:
    for codec in ENCODERS:
        _, encoders = check_codec(Path("out.mkv"), codec, hardware=False)
        assert not [name for name in encoders if name.endswith(HARDWARE)]
