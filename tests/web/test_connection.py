"""Connections that ask for nothing: they need no token, and must not take what the run needs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from time import sleep

import psutil
import pytest

from tests.web.cameras import Camera, get, page, until
from vidclf.stages import Serve
from vidclf.web.connection import Connection

TOKEN = "correct-horse"
HEAD = b"Host: x\r\nAuthorization: Bearer correct-horse\r\n\r\n"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr("vidclf.web.connection.MOST", 8)
    monkeypatch.setattr("vidclf.web.connection.PATIENCE", 1.0)
    monkeypatch.setattr("vidclf.web.guard.FORM_SECONDS", 1.0)
    with page([Camera()], token=TOKEN) as serve:
        yield serve


def connect(serve: Serve, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", serve.port), timeout=10)
    connection.sendall(sent)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; reads what came before."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_connections_are_limited_in_number(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.web.connection.PATIENCE", 60.0)
    idle = [connect(serve) for _ in range(40)]
    until(lambda: sum(not is_closed(each) for each in idle) <= 8)
    for each in idle:
        each.close()
    until(lambda: get(f"{serve.url}healthz", Authorization=f"Bearer {TOKEN}")[0] == 200)


def test_connections_without_a_request_make_room_for_others(serve: Serve) -> None:
    idle = [connect(serve) for _ in range(40)]
    until(lambda: get(f"{serve.url}healthz", Authorization=f"Bearer {TOKEN}")[0] == 200)
    until(lambda: all(map(is_closed, idle)))
    for each in idle:
        each.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:", id="half a request"),
        pytest.param(b"GET /healthz HTTP/1.1\r\n" + HEAD, id="a whole one"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\ntoken=", id="half a form"),
    ],
)
def test_a_request_that_never_ends_is_limited_in_time(serve: Serve, sent: bytes) -> None:
    with closing(connect(serve, sent)) as connection:
        sleep(0.5)
        assert not is_closed(connection)
        connection.sendall(b"G")  # of the next one, if the first is whole
        until(lambda: is_closed(connection), seconds=10)


def test_a_stream_goes_on_and_so_does_a_connection_that_is_used(serve: Serve) -> None:
    with (
        closing(connect(serve, b"GET /cameras/0.mjpg HTTP/1.1\r\n" + HEAD)) as stream,
        closing(connect(serve)) as used,
    ):
        for _ in range(6):
            used.setblocking(True)
            used.sendall(b"GET /healthz HTTP/1.1\r\n" + HEAD)
            sleep(0.5)
            assert not is_closed(stream) and not is_closed(used)


def test_a_client_that_reads_nothing_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could hold its connection for as long as it liked."""
    monkeypatch.setattr("vidclf.web.connection.STUCK", 1.0)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with closing(connection):
        connection.connect(("127.0.0.1", serve.port))
        connection.sendall(200 * (b"GET /page.js HTTP/1.1\r\n" + HEAD))
        until(lambda: serve_connections(serve))
        until(lambda: not serve_connections(serve), seconds=20)


def test_a_client_that_leaves_little_unread_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below asyncio's 64 KB, nothing counted as unread, and closing waited for the client for ever."""
    monkeypatch.setattr("vidclf.web.connection.STUCK", 3.0)  # longer than PATIENCE: it is being closed by then
    transports: list[asyncio.Transport] = []
    begin = Connection.connection_made

    def connection_made(self: Connection, transport: asyncio.Transport) -> None:
        transports.append(transport)
        begin(self, transport)

    def unread() -> int:
        """Bytes that the server could not pass on after another request."""
        connection.sendall(b"GET /page.css HTTP/1.1\r\n" + HEAD)
        sleep(0.05)
        return transports[0].get_write_buffer_size()

    monkeypatch.setattr(Connection, "connection_made", connection_made)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with closing(connection):
        connection.connect(("127.0.0.1", serve.port))
        until(lambda: transports)
        assert until(unread, seconds=60) < 64 << 10
        until(transports[0].is_closing)
        until(lambda: not serve_connections(serve), seconds=20)


def serve_connections(serve: Serve) -> int:
    """How many connections to the page this process knows of."""
    return sum(
        each.laddr.port == serve.port and each.status == "ESTABLISHED"
        for each in psutil.Process().net_connections("tcp")
        if each.laddr
    )
