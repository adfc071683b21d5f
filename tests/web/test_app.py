"""Every route of a page that runs: what it answers, and to whom."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event
from time import perf_counter, sleep
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from tests.clips import index_of
from tests.web.cameras import Camera, ask, get, page, until
from vidclf.frame import Frame
from vidclf.stages import Serve
from vidclf.stages._pause import Pause
from vidclf.web.app import ASSETS


def decode(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


class Viewer:
    """Reads a camera's stream, picture by picture; or holds it open and reads nothing."""

    def __init__(self, url: str, reads: bool = True):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self.socket.sendall(b"GET /cameras/0.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if reads:
            self.answer = http.client.HTTPResponse(self.socket)
            self.answer.begin()
            assert self.answer.headers["Content-Type"].startswith("multipart/x-mixed-replace; boundary=")
            self._boundary = b"\r\n--" + self.answer.headers["Content-Type"].partition("boundary=")[2].encode()
            self._data = b""
            self._part()  # nothing comes before the first boundary

    def _part(self) -> bytes:
        while self._boundary not in self._data:
            chunk = self.answer.read1(65_536)
            if not chunk:
                raise EOFError
            self._data += chunk
        part, _, self._data = self._data.partition(self._boundary)
        return part

    def picture(self) -> np.ndarray:
        head, _, data = self._part().partition(b"\r\n\r\n")
        assert head == b"\r\nContent-Type: image/jpeg"
        return decode(data)

    def close(self) -> None:
        self.socket.close()


def test_the_stats_are_those_of_the_pipeline_and_more(serve: Serve) -> None:
    stats = ask(f"{serve.url}api/stats")
    assert set(stats) >= {"ledger", "labels", "bottleneck", "stages", "lag_ms", "now", "cameras", "history"}
    assert [row["name"] for row in stats["now"]["stages"]] == ["camera", "camera", "find", "serve"]
    assert stats["now"]["bottleneck"]
    later = until(lambda: (b := ask(f"{serve.url}api/stats"))["ledger"]["read"] > stats["ledger"]["read"] and b)
    assert later["ledger"]["finished"] > stats["ledger"]["finished"]
    assert later["now"]["fps"] > 1
    assert set(later["history"]["labels"]) == {"Coat", "person"}
    coat = later["history"]["labels"]["Coat"]
    assert len(coat["detections"]) == len(coat["in_view"]) == len(later["history"]["at"])
    assert coat["in_view"][-1] == 1


def test_every_camera_is_told_those_that_are_away_too(serve: Serve) -> None:
    rows = {row["name"]: row for row in ask(f"{serve.url}api/stats")["cameras"]}
    assert set(rows) == {"camera", "absent"}
    assert rows["camera"]["state"] == "connected"
    assert rows["camera"]["size"] == [96, 72]
    assert rows["camera"]["lag_ms"]["p95"] >= rows["camera"]["lag_ms"]["p50"] > 0
    assert rows["camera"]["last_frame_s"] < 10
    assert {key: rows["absent"][key] for key in ("state", "picture", "stream", "last_frame_s")} == {
        "state": "absent", "picture": None, "stream": None, "last_frame_s": None,
    }  # fmt: skip


def test_cameras_that_are_called_alike_have_a_picture_each() -> None:
    away, here = Camera(state="absent"), Camera()
    with page([away, here]) as serve:
        until(lambda: ask(f"{serve.url}api/detections"))
        cameras = [(row["name"], row["state"], row["picture"]) for row in ask(f"{serve.url}api/stats")["cameras"]]
        assert cameras == [("camera", "absent", None), ("camera (2)", "connected", "/cameras/0.jpg")]
        assert {row["source"] for row in ask(f"{serve.url}api/detections")} == {"camera (2)"}
        away.plug_in()
        until(lambda: len({row["picture"] for row in ask(f"{serve.url}api/stats")["cameras"]} - {None}) == 2)


def test_the_latest_detections_have_the_columns_of_a_record_and_pictures(serve: Serve) -> None:
    found = {row["label"]: row for row in ask(f"{serve.url}api/detections")}
    coat = found["Coat"]
    assert (coat["source"], coat["track"], coat["kind"], coat["label_score"]) == ("camera", 7, "person", 0.75)
    assert [coat[name] for name in ("x0", "y0", "x1", "y1")] == [4, 4, 40, 60]
    assert decode(get(serve.url[:-1] + coat["thumbnail"])[2]).shape == (56, 36, 3)
    assert decode(get(serve.url[:-1] + coat["crop"])[2]).shape == (28, 28, 3)
    assert found[""]["crop"] is None  # the other one was not classified


def test_pictures_arrive_and_change(serve: Serve) -> None:
    viewer = Viewer(serve.url)
    shown = [index_of(viewer.picture()) for _ in range(5)]
    viewer.close()
    assert len(set(shown)) == 5
    single = index_of(decode(get(f"{serve.url}cameras/0.jpg")[2]))
    assert single not in shown[:-1]


def test_what_a_slow_viewer_misses_is_never_sent(serve: Serve, camera: Camera) -> None:
    """The next picture after a pause is a fresh one: at most what the sockets hold is older."""
    viewer = Viewer(serve.url)
    viewer.picture()
    sleep(1.0)
    until(lambda: (camera.index - index_of(viewer.picture())) % 256 < 25, seconds=5)
    viewer.close()


def test_a_picture_is_sent_again_while_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a proxy ends the stream of a camera that is away, and a browser shows that to nobody."""
    monkeypatch.setattr("vidclf.web.app.RESEND", 0.2)
    camera = Camera()
    with page([camera]) as serve:
        until(lambda: ask(f"{serve.url}api/detections"))
        camera.unplug()
        viewer = Viewer(serve.url)
        shown = [index_of(viewer.picture()) for _ in range(5)]
        viewer.close()
    assert shown[-1] == shown[-2]


def test_many_viewers_and_some_who_never_read_do_not_keep_anybody_waiting(serve: Serve) -> None:
    dead = [Viewer(serve.url, reads=False) for _ in range(3)]
    before = ask(f"{serve.url}api/stats")["ledger"]["finished"]
    alive = [Viewer(serve.url) for _ in range(17)]
    for _ in range(5):
        assert len({index_of(viewer.picture()) for viewer in alive}) < 17  # one picture for many
    # The statistics that a request gets may be half a second old.
    until(lambda: ask(f"{serve.url}api/stats")["ledger"]["finished"] > before, seconds=5)
    for viewer in [*dead, *alive]:
        viewer.close()


def test_the_page_ends_at_once_though_viewers_hold_on() -> None:
    with page([Camera()]) as serve:
        until(lambda: ask(f"{serve.url}api/detections"))
        held = [Viewer(serve.url, reads=n > 1) for n in range(5)]
        sleep(0.5)
        began = perf_counter()
    assert perf_counter() - began < 4  # seconds; a second of grace, and a machine that is busy
    assert get(f"{serve.url}healthz")[0] == 0
    with pytest.raises((EOFError, ConnectionError, http.client.IncompleteRead)):
        while True:
            held[-1].picture()
    for viewer in held:
        viewer.close()


def test_health_is_ok_degraded_or_down() -> None:
    one, two = Camera("one"), Camera("two")
    with page([one, two]) as serve:

        def health() -> tuple[int, str]:
            status, _, body = get(f"{serve.url}healthz")
            return status, json.loads(body)["status"]

        until(lambda: health() == (200, "ok"))
        one.unplug()
        until(lambda: health() == (200, "degraded"))
        one.reading.state = "given up"
        sleep(0.6)  # the statistics are looked at anew
        assert health() == (200, "degraded")
        two.unplug()
        until(lambda: health() == (503, "down"))
        one.plug_in()
        until(lambda: health() == (200, "degraded"))
        row = ask(f"{serve.url}api/stats")["cameras"][1]
        assert (row["state"], row["problem"]) == ("reconnecting", "no such device")


class Recorder:
    """A stage that says which of its recordings pause; or a user's stage that calls something else so."""

    def __init__(self, pauses: object) -> None:
        self.pauses = pauses

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from frames


def test_a_recording_that_pauses_is_a_problem_of_its_own_pipeline(tmp_path: Path) -> None:
    pause, elsewhere = (Pause(name, tmp_path) for name in ("camera", "elsewhere"))
    stages = [Recorder(pauses) for pauses in ([pause], 3, ["a reason"], list)]
    with page([Camera()], *stages) as serve:

        def told() -> list[object]:
            health = ask(f"{serve.url}healthz")
            return [health["status"], health["problems"], ask(f"{serve.url}api/stats")["problems"]]

        assert told() == ["ok", [], []]
        for each in (pause, elsewhere):
            each.begins()
        reasons = [f"{tmp_path}: no space left; recording of camera pauses until there is"]
        assert told() == ["degraded", reasons, reasons]
        pause.ends()
        assert told() == ["ok", [], []]


class Door:
    """A stage that hangs while it is shut."""

    def __init__(self) -> None:
        self.open = Event()

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self.open.wait(20)
            yield frame


def test_a_connected_camera_whose_frames_do_not_come_out_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.web.health.LOADING", 3.0)
    monkeypatch.setattr("vidclf.web.health.SILENT", 0.8)
    door = Door()
    with page([Camera()], door) as serve:

        def health() -> tuple[int, str]:
            status, _, body = get(f"{serve.url}healthz")
            return status, json.loads(body)["sources"]["camera"]

        began = perf_counter()
        assert health() == (200, "connected")  # its networks may still be loading ...
        until(lambda: health() == (503, "silent"))  # ... but not for ever
        assert perf_counter() - began > 2
        door.open.set()
        until(lambda: health() == (200, "connected"))
        door.open.clear()
        until(lambda: health() == (503, "silent"))
        metrics = get(f"{serve.url}metrics")[2].decode()
        assert 'vidclf_source_up{source="camera"} 0.0' in metrics
        assert float(metrics.partition('vidclf_source_last_frame_seconds{source="camera"} ')[2].split()[0]) > 0.8
        door.open.set()


@pytest.mark.parametrize("route", [*ASSETS, "/api/stats", "/healthz", "/nosuch"])
def test_browsers_are_told_to_keep_it_to_themselves(serve: Serve, route: str) -> None:
    status, headers, _ = get(serve.url[:-1] + route)
    assert status == (404 if route == "/nosuch" else 200)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_the_page_needs_nothing_from_elsewhere(serve: Serve) -> None:
    for route in ASSETS:
        text = get(serve.url[:-1] + route)[2].decode().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "@import" not in text


def test_numbers_that_are_none_are_told_in_words(serve: Serve) -> None:
    for route, said in [("cameras/9.jpg", "no camera 9; there are 1"), ("detections/0.jpg", "detection 0 is not")]:
        status, _, body = get(serve.url + route)
        assert status == 404
        assert json.loads(body)["error"].startswith(said)
    assert get(f"{serve.url}cameras/x.jpg")[0] == 404
