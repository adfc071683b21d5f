"""Cameras made by hand, a pipeline that shows them on a page, and a client: what the tests of the page share."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from time import perf_counter, sleep
from typing import Any

from tests.clips import picture
from vidclf.channel import Channel
from vidclf.frame import Detection, Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.stages import Serve


class Camera:
    """A live source of numbered pictures; it can be unplugged."""

    live = True

    def __init__(self, name: str = "camera", rate: float = 50, state: str = "connected"):
        self.rate, self.index = rate, 0
        self.reading = Source(name, (96, 72), live=True, state=state)

    def unplug(self) -> None:
        self.reading.problem, self.reading.state = "no such device", "reconnecting"

    def plug_in(self) -> None:
        self.reading.state, self.reading.problem = "connected", ""
        self.reading.reconnects += 1

    def __call__(self, _: object) -> Iterator[Frame | None]:
        source, began = self.reading, perf_counter()
        while True:
            sleep(1 / self.rate)
            source.waited += 1 / self.rate
            if source.state != "connected":
                yield None
                continue
            image = picture(self.index % 256, source.size)
            yield Frame(source, self.index, round(1000 * (perf_counter() - began)), image)
            self.index += 1


class Find:
    """Finds two objects on every frame, one of them with a track."""

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        for frame in frames:
            coat = Detection((4, 4, 40, 60), 0.9, "person", track=7, label="Coat", label_score=0.75)
            coat.crop = frame.image[:28, :28, 0].copy()
            frame.detections = [coat, Detection((50, 10, 90, 70), 0.5, "person")]
            yield frame


@contextmanager
def page(cameras: Sequence[Camera], *stages: Any, **options: Any) -> Iterator[Serve]:
    """A page of these cameras, up and running."""
    serve = Serve("127.0.0.1:0", **options)
    pipeline = Pipeline([list(cameras), *(stages or [Find()]), serve])
    thread = Thread(target=pipeline.run)
    thread.start()
    try:
        until(lambda: get(f"{serve.url}healthz")[0])
        yield serve
    finally:
        pipeline.stop()
        thread.join(20)
        assert not thread.is_alive()


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in lower case, and body; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()
    except OSError:
        return 0, {}, b""


def ask(url: str) -> Any:
    """What a route answers, as JSON."""
    status, _, body = get(url)
    assert status == 200, (status, body)
    return json.loads(body)


def until(condition: Any, seconds: float = 20) -> Any:
    """Wait for a condition; its value."""
    ends = perf_counter() + seconds
    while not (value := condition()):
        assert perf_counter() < ends, "waited in vain"
        sleep(0.05)
    return value
