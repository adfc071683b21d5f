"""A real broker behind a link that is slow, or falls silent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from time import sleep

import pytest

from tests.brokers import Mosquitto, wait_for
from vidclf.events import mqtt
from vidclf.events.broker import Unreachable, connect, parse_url
from vidclf.events.message import Message, make_message

pytest.importorskip("paho.mqtt")

MESSAGES = [Message("vidclf/cam", str(n), f'{{"n": {n}, "text": "{"x" * 1000}"}}') for n in range(20)]


@contextmanager
def slow_link(port: int, seconds: float, bytes_in_all: int = 1 << 30) -> Iterator[int]:
    """A port that leads to another; 1000 bytes to it take `seconds`, and after some bytes it forwards no more."""

    def forward(given: socket.socket, to: socket.socket, seconds: float, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := given.recv(1000)):
                sleep(seconds * len(data) / 1000)
                to.sendall(data[:left])
                left -= len(data)

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as broker:

        def accept() -> None:
            client, _ = server.accept()
            with client:
                broker.connect(("127.0.0.1", port))
                back = Thread(target=forward, args=(broker, client, 0, 1 << 30))
                back.start()
                forward(client, broker, seconds, bytes_in_all)
                back.join()

        Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            broker.shutdown(socket.SHUT_RDWR)


def test_a_name_that_the_broker_does_not_take_keeps_back_no_other_message(mosquitto: Mosquitto) -> None:
    """It closed the connection at such a topic, and the courier sent the same message again, for ever."""
    broker = connect(parse_url(f"mqtt://127.0.0.1:{mosquitto.port}"))
    broker.open()
    row = {"source": "It\x92s.mp4", "label": "a\ufdd0b"}
    messages = [make_message("detection", row, "vidclf/{source}/{label}", live=False), *MESSAGES]
    assert broker.send(messages) == {}
    broker.close()
    wait_for(lambda: len(mosquitto.events()) == len(messages))


def test_a_slow_link_is_no_silence(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages together take longer than a broker may be silent; none was ever delivered, and all were repeated."""
    monkeypatch.setattr(mqtt, "SILENCE", 1.0)
    with slow_link(mosquitto.port, 0.1) as port:
        broker = connect(parse_url(f"mqtt://127.0.0.1:{port}"))
        broker.open()
        assert broker.send(MESSAGES) == {}
        broker.close()
    wait_for(lambda: [event["n"] for event in mosquitto.events()] == list(range(20)))


def test_what_was_confirmed_before_a_silence_is_delivered(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "SILENCE", 1.0)
    with slow_link(mosquitto.port, 0, 8000) as port:
        broker = connect(parse_url(f"mqtt://127.0.0.1:{port}"))
        broker.open()
        failed = broker.send(MESSAGES)
        broker.close()
    wait_for(lambda: len(mosquitto.events()) == 7)
    assert list(failed) == list(range(7, 20))
    assert {(type(error), str(error)) for error in failed.values()} == {(Unreachable, "it does not confirm messages")}


def test_a_message_that_was_lost_with_the_connection_is_not_confirmed() -> None:
    """paho raises instead of saying so; the whole window would be sent again."""

    class Lost:
        def is_published(self) -> bool:
            raise RuntimeError("Message publish failed: The connection was lost.")

    assert not mqtt.is_confirmed(Lost())
