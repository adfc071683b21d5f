from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from tests.brokers import Mosquitto, Program, RedisServer, free_port, wait_for
from tests.frames import make_frames, make_source
from tests.web.cameras import Camera, Find
from vidclf.errors import UsageError
from vidclf.events.spool import Spool
from vidclf.frame import Detection, Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.stages import Publish, Record

pytest.importorskip("paho.mqtt")
pytest.importorskip("redis")


@pytest.fixture(params=["mosquitto", "redis_server"])
def broker(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def url_of(broker: Program) -> str:
    return f"{'mqtt' if isinstance(broker, Mosquitto) else 'redis'}://127.0.0.1:{broker.port}"


def publisher(broker: Program, tmp_path: Path, **options: Any) -> Publish:
    return Publish(url_of(broker), spool=str(tmp_path / "events.sqlite"), **options)


def sights(count: int, source: Source | None = None, label: str = "Coat", track: int | None = 1) -> Iterator[Frame]:
    """Frames with a detection each, that moves."""
    for frame in make_frames(count, source or make_source(size=(640, 480))):
        x = frame.index % 600
        frame.detections = [Detection((x, 2, x + 20, 40), score=0.9, track=track, label=label, label_score=0.8)]
        yield frame


def pace(frames: Iterator[Frame], seconds: float) -> Iterator[Frame]:
    for frame in frames:
        sleep(seconds)
        yield frame


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """The frames that the events are about, each key counted once."""
    return sorted({event["key"]: event["frame"] for event in events}.values())


def test_every_detection_is_a_message(broker: Any, tmp_path: Path) -> None:
    stage = publisher(broker, tmp_path)
    assert [frame.index for frame in stage(sights(50))] == list(range(50))
    wait_for(lambda: len(broker.events()) >= 50)
    events = broker.events()
    assert [event["frame"] for event in events] == list(range(50))
    assert len({event["key"] for event in events}) == 50
    assert stage.counts == {"events": 50, "delivered": 50, "waiting": 0, "dropped": 0}
    event = events[7]
    assert event.pop("key") and event.pop("at")
    assert event == {
        "schema": 1, "event": "detection", "source": "clip", "frame": 7, "time": 0.28, "track": 1, "kind": "object",
        "x0": 7, "y0": 2, "x1": 27, "y1": 40, "score": 0.9, "label": "Coat", "label_score": 0.8,
    }  # fmt: skip


def test_what_the_broker_refuses_for_good_is_dropped(redis_server: RedisServer, tmp_path: Path) -> None:
    with pytest.importorskip("redis").Redis(port=redis_server.port) as client:
        client.set("vidclf:clip", "no stream")
    stage = publisher(redis_server, tmp_path)
    list(stage(sights(5)))
    assert stage.counts == {"events": 5, "delivered": 0, "waiting": 0, "dropped": 5}


def test_the_topic_tells_source_and_label_and_the_status_who_is_there(mosquitto: Mosquitto, tmp_path: Path) -> None:
    odd = make_source("cams/front #1+")
    list(publisher(mosquitto, tmp_path, status="who/{x}")(sights(1, odd, "T-shirt/top")))
    list(publisher(mosquitto, tmp_path, topic="home/{event}/{track}")(sights(1, label="")))
    wait_for(lambda: len(mosquitto.got) >= 6)
    topics = [topic for topic, _ in mosquitto.got]
    assert topics[:3] == ["who/{x}", "vidclf/cams-front-1/T-shirt-top", "who/{x}"]
    assert [payload for topic, payload in mosquitto.got if topic == "who/{x}"] == ["online", "offline"]
    assert "home/detection/1" in topics


def test_a_broker_that_is_gone_for_a_while_misses_nothing(
    broker: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def outage() -> Iterator[Frame]:
        for frame in pace(sights(8000), 0.002):
            if frame.index == 100:
                broker.stop()
            if frame.index == 300:
                broker.start()
            if "is reachable again" in caplog.text:
                return
            yield frame

    with caplog.at_level(logging.WARNING, "vidclf"):
        frames = list(publisher(broker, tmp_path, linger=20.0)(outage()))
    assert len(frames) > 300
    wait_for(lambda: numbers(broker.events()) == list(range(len(frames))))
    first, last = [record.getMessage() for record in caplog.records]
    assert first.startswith(f"{url_of(broker)}: ") and first.endswith(
        f"; events are waiting in {tmp_path / 'events.sqlite'}"
    )
    assert last == f"{url_of(broker)} is reachable again"


def test_a_silent_broker_holds_nothing_up(broker: Any, tmp_path: Path) -> None:
    """It accepts, and says nothing. The frames do not notice, and the end of the run does not wait for ever."""
    broker.freeze()
    stage = publisher(broker, tmp_path, linger=0.5)
    began = monotonic()
    assert len(list(stage(sights(500)))) == 500
    assert monotonic() - began < 5
    assert stage.counts == {"events": 500, "delivered": 0, "waiting": 500, "dropped": 0}
    broker.thaw()
    later = publisher(broker, tmp_path, linger=20.0)
    list(later(iter([])))
    wait_for(lambda: len(numbers(broker.events())) == 500)


def test_the_oldest_go_when_too_many_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No broker at all: what may wait is bounded, and what is dropped is counted and told."""
    options = {"spool": str(tmp_path / "events.sqlite"), "linger": 0.0}
    url = f"mqtt://user:secret@127.0.0.1:{free_port()}"
    stage = Publish(url, max_events=30, **options)  # type: ignore[arg-type]
    with caplog.at_level(logging.DEBUG, "vidclf"):
        list(stage(sights(100)))
    assert stage.counts == {"events": 100, "delivered": 0, "waiting": 30, "dropped": 70}
    messages = [record.getMessage() for record in caplog.records]
    assert "70 events were dropped" in messages
    assert (
        f"30 events are waiting in {stage.spool} for {url.replace('user:secret@', '')}; the next run delivers them"
        in messages
    )
    assert "secret" not in caplog.text
    assert "secret" not in repr(vars(stage))


def test_a_full_disk_loses_events_and_no_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError("events.sqlite: database or disk is full")

    monkeypatch.setattr("vidclf.events.spool.Spool.put", full)
    stage = Publish(f"mqtt://127.0.0.1:{free_port()}", spool=str(tmp_path / "events.sqlite"), linger=0.0)
    assert len(list(stage(sights(3)))) == 3
    assert stage.counts == {"events": 3, "delivered": 0, "waiting": 0, "dropped": 3}
    told = [record.getMessage() for record in caplog.records if record.name == "vidclf.stages.publish"]
    assert told == ["events are lost: events.sqlite: database or disk is full", "3 events were dropped"]


def test_a_spool_that_is_gone_at_the_end_does_not_fail_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> int:
        raise OSError("events.sqlite: disk I/O error")

    monkeypatch.setattr("vidclf.events.spool.Spool.__len__", gone)
    stage = Publish(f"mqtt://127.0.0.1:{free_port()}", spool=str(tmp_path / "events.sqlite"), linger=0.0)
    assert len(list(stage(sights(3)))) == 3
    told = [record.getMessage() for record in caplog.records if record.name == "vidclf.stages.publish"]
    assert told == ["cannot count the waiting events: events.sqlite: disk I/O error"]


def test_only_changes_of_tracks(redis_server: RedisServer, tmp_path: Path) -> None:
    frames = list(sights(100))
    for frame in frames[20:40]:
        frame.detections[0].label = "Shirt"
    for frame in frames[60:]:
        frame.detections[0].track = None
    list(publisher(redis_server, tmp_path, on="track", gone=1.0)(frames))
    told = [(e["event"], e["frame"], e["label"]) for e in redis_server.events()]
    assert told == [("appeared", 0, "Coat"), ("label", 20, "Shirt"), ("label", 40, "Coat"), ("gone", 59, "Coat")]


def test_changes_of_tracks_without_tracks_are_none_and_it_says_so(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(publisher(redis_server, tmp_path, on="track")(sights(3)))
    assert caplog.records == []
    list(publisher(redis_server, tmp_path, on="track")(sights(3, track=None)))
    assert [record.getMessage() for record in caplog.records] == [
        "publish has no events: no detection has a track; put track after the detector (--track)"
    ]


def waiting(stage: Publish) -> list[dict[str, Any]]:
    """The events in the stage's spool."""
    with Spool(stage.spool) as spool:
        return [json.loads(event.message.payload) for event in spool.oldest(1000)]


def unheard(tmp_path: Path, **options: Any) -> Publish:
    """A stage without a broker, so that its events stay in its spool."""
    return Publish(f"redis://127.0.0.1:{free_port()}", spool=str(tmp_path / "events.sqlite"), linger=0.0, **options)


@pytest.mark.parametrize(("on", "frames"), [("detection", [0, 1, 2]), ("track", [0, 2])])
def test_an_event_tells_like_a_record_when_its_frame_was_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on: str, frames: list[int]
) -> None:
    monkeypatch.setattr("vidclf.rows.time", lambda: 1_800_000_100.0)
    monkeypatch.setattr("vidclf.rows.perf_counter", lambda: 100.0)
    stage, seen = unheard(tmp_path, on=on), list(sights(3))
    for frame in seen:
        frame.captured = 110 + frame.index / 8
    list(Record(str(tmp_path / "out.jsonl"), at=True)(stage(seen)))
    with (tmp_path / "out.jsonl").open() as lines:
        recorded = {row["frame"]: row["at"] for row in map(json.loads, list(lines)[1:])}
    assert recorded[1] == "2027-01-15T08:01:50.125Z"
    assert [(event["frame"], event["at"]) for event in waiting(stage)] == [(n, recorded[n]) for n in frames]


@pytest.mark.parametrize("others", [0, 1])
def test_what_a_lost_camera_saw_is_gone_and_appears_again(tmp_path: Path, others: int) -> None:
    camera, stage = Camera(), unheard(tmp_path, on="track", gone=0.5)

    def told(name: str = "camera") -> list[str]:
        return [event["event"] for event in waiting(stage) if event["source"] == name]

    pipeline = Pipeline([[camera, *(Camera("other") for _ in range(others))], Find(), stage])
    run = Thread(target=pipeline.run)
    run.start()
    try:
        wait_for(lambda: told() == ["appeared"])
        camera.unplug()
        wait_for(lambda: told() == ["appeared", "gone"])
        camera.plug_in()
        wait_for(lambda: told() == ["appeared", "gone", "appeared"])
        assert told("other") == ["appeared"] * others
    finally:
        pipeline.stop()
        run.join(20)


def test_a_slow_pipeline_is_no_lost_camera(tmp_path: Path) -> None:
    slow, other = (Source(name, (640, 480), live=True) for name in ("slow", "other"))
    (one, two), others = sights(2, slow), sights(2, other)
    stage = unheard(tmp_path, on="track", gone=0.1)
    list(stage(pace(iter([one, *others, two]), 0.2)))
    events = [(event["event"], event["frame"]) for event in waiting(stage) if event["source"] == "slow"]
    assert events == [("appeared", 0), ("gone", 1)]


def test_a_file_gives_the_same_keys_again_and_a_camera_does_not(redis_server: RedisServer, tmp_path: Path) -> None:
    camera = Source("camera", (640, 480), live=True)
    for name, source in (("clip", make_source()), ("camera", camera)):
        for _ in range(2):
            list(publisher(redis_server, tmp_path)(sights(3, source)))
            sleep(0.002)
        events = redis_server.events(f"vidclf:{name}")
        assert len(events) == 6
        assert len({event["key"] for event in events}) == (3 if name == "clip" else 6)


KILLED = """
import os, signal, sys
from tests.stages.test_publish import Publish, sights
for frame in Publish(sys.argv[1], spool=sys.argv[2])(sights(100)):
    if frame.index == 50:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_what_a_killed_run_left_the_next_one_delivers(broker: Any, tmp_path: Path) -> None:
    broker.freeze()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLED, url_of(broker), str(tmp_path / "events.sqlite")]
    done = subprocess.run(command, env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    broker.thaw()
    list(publisher(broker, tmp_path, linger=20.0)(iter([])))
    wait_for(lambda: len(numbers(broker.events())) == 51)


def test_credentials_are_used(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, password="p@ss:w/rd")
    broker.start()
    try:
        spool = str(tmp_path / "events.sqlite")
        refused = Publish(f"mqtt://user:wrong@127.0.0.1:{broker.port}", spool=spool, linger=1.0)
        list(refused(sights(3)))
        assert refused.counts["waiting"] == 3
        stage = Publish(f"mqtt://user:p%40ss%3Aw%2Frd@127.0.0.1:{broker.port}", spool=spool)
        list(stage(iter([])))
        wait_for(lambda: len(broker.events()) == 3)
    finally:
        broker.end()


def test_tls_wants_a_certificate_that_is_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs the program openssl")
    certificate = tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += [
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(certificate),
        "-out",
        str(tmp_path / "ca.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    certificate.write_text(certificate.read_text() + (tmp_path / "ca.pem").read_text())
    broker = Mosquitto(tmp_path, certificate=certificate)
    broker.start()
    try:
        url, spool = f"mqtts://localhost:{broker.tls_port}", str(tmp_path / "events.sqlite")
        with caplog.at_level(logging.WARNING, "vidclf"):
            list(Publish(url, spool=spool, linger=2.0)(sights(3)))
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
        assert broker.events() == []
        list(Publish(url, spool=spool, linger=20.0, ca=str(tmp_path / "ca.pem"))(iter([])))
        wait_for(lambda: len(broker.events()) == 3)
    finally:
        broker.end()


def test_several_stages_share_a_spool_and_send_nothing_twice(redis_server: RedisServer, tmp_path: Path) -> None:
    one, two = (publisher(redis_server, tmp_path, linger=20.0)(sights(100, make_source(name))) for name in "ab")
    for _ in zip(one, two, strict=True):
        pass
    list(one), list(two)
    wait_for(lambda: len(redis_server.events("vidclf:b")) >= 100)
    assert [len(redis_server.events(f"vidclf:{name}")) for name in "ab"] == [100, 100]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "publish needs a url"),
        ({"url": "secret"}, "url must begin with mqtt://, mqtts://, redis://, rediss://, got text without ://"),
        ({"url": "http://user:secret@host"}, "url must begin with mqtt://, mqtts://, redis://, rediss://, got http://"),
        ({"url": "mqtt://user:secret@host:port"}, "url is not a URL such as mqtt://"),
        ({"url": "mqtt://user:secret@"}, "url has no host"),
        ({"url": "redis://host/stream"}, "url may have only the number of a database after the host, got /stream"),
        ({"url": "mqtt://host", "topic": "a/{colour}"}, "may hold {source}, {kind}, {label}, {track}, {event}, got"),
        ({"url": "mqtt://host", "topic": "a/#"}, "must not hold"),
        ({"url": "mqtt://host", "topic": "a/{"}, "topic 'a/{' is not a valid template: "),
        ({"url": "mqtt://host", "max_events": 0}, "max_events must be 1 to"),
        ({"url": "mqtt://host", "linger": -1.0}, "linger must be 0 to"),
        ({"url": "mqtt://host", "ca": "nosuch.pem"}, "no such file: nosuch.pem"),
        ({"url": "mqtt://host", "status": "cams/#"}, "status must be a topic without the wildcards"),
        ({"url": "mqtt://host", "spool": "/dev/null/events"}, "cannot store events in"),
    ],
)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(UsageError) as told:
        Publish(**options)
    assert message in str(told.value)
    assert "secret" not in str(told.value)
