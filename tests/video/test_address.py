from __future__ import annotations

import pytest

from vidclf.video.address import is_camera, is_live, redact


@pytest.mark.parametrize(
    ("source", "camera", "live"),
    [
        ("0", True, True),
        ("/dev/video2", True, True),
        ("rtsp://host/stream", False, True),
        ("RTSP://host/stream", False, True),
        ("http://host/clip.mp4", False, False),
        ("http://host/video.mjpg", False, True),
        ("https://host/live/list.m3u8?a=b.mp4", False, True),
        ("udp://@:1234", False, True),
        ("clip.mp4", False, False),
        ("rtsp.mp4", False, False),
    ],
)
def test_kinds_of_sources(source: str, camera: bool, live: bool) -> None:
    assert (is_camera(source), is_live(source)) == (camera, live)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://user:secret@host:554/a?b=c", "rtsp://user:***@host:554/a?b=c"),
        ("http://user:se@cret@host/a", "http://user:***@host/a"),
        ("http://user@host/a", "http://user@host/a"),
        ("folder/user:secret@clip.mp4", "folder/user:secret@clip.mp4"),
        ("rtsp://admin:pa?ss#w/ord@host:554/x", "rtsp://admin:***@host:554/x"),
        ("rtsp://host/user=admin&password=secret&channel=1", "rtsp://host/user=admin&password=***&channel=1"),
        ("rtsp://u:secret@[::1]:80/a?access_token=secret", "rtsp://u:***@[::1]:80/a?access_token=***"),
        ("http://host:80/a?mail=x@y", "http://host:80/a?mail=x@y"),
        ("http://host/v.cgi?loginuse=admin&loginpas=secret", "http://host/v.cgi?loginuse=admin&loginpas=***"),
        ("rtsp://host/11?usr=admin&PSW=secret&x=1", "rtsp://host/11?usr=admin&PSW=***&x=1"),
        ("http://host/x?u=admin&passw=secret#top", "http://host/x?u=admin&passw=***#top"),
        ("http://host/x?p=secret&pw=secret&fps=5&up=1", "http://host/x?p=***&pw=***&fps=5&up=1"),
        ("http://host/x?credentials=secret/secret", "http://host/x?credentials=***"),
        ("https://host/x?X-Amz-Signature=secret;a=b", "https://host/x?X-Amz-Signature=***;a=b"),
        ("rtsp://host/user=admin_password=secret_channel=1", "rtsp://host/user=admin_password=***"),
        ("rtsp://host?token=secret", "rtsp://host?token=***"),
        ("rtsp://host/token=secret/stream=1", "rtsp://host/token=***/stream=1"),
    ],
)
def test_no_password_is_shown(source: str, shown: str) -> None:
    assert redact(source) == shown
