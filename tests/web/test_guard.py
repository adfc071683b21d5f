"""Who is answered: with and without a token, and under which names."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import Iterator
from time import perf_counter, sleep

import pytest

from tests.web.cameras import Camera, get, page
from vidclf.stages import Serve
from vidclf.web.app import ASSETS

TOKEN = "correct-horse&battery=staple"
IN_AN_ADDRESS = "correct-horse%26battery%3Dstaple"
ROUTES = [*ASSETS, "/cameras/0.jpg", "/cameras/0.mjpg", "/detections/1.jpg", "/detections/1.png", "/api/stats"]
ROUTES += ["/api/detections", "/healthz", "/metrics", "/nosuch"]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Serve]:
    with page([Camera()], token=TOKEN) as serve:
        yield serve


def post(serve: Serve, body: bytes, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """What a posted form is answered; its body is read."""
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html,*/*"}
    connection.request("POST", path, body, form | headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_answers_without_the_token(guarded: Serve, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.web.guard.GUESS", 0.0)
    address = guarded.url[:-1] + route
    attempts = [
        get(address),
        get(f"{address}?token=wrong"),
        get(f"{address}?token="),
        get(f"{address}?token={IN_AN_ADDRESS}x"),
        get(address, Authorization="Bearer wrong"),
        get(address, Authorization="Bearer "),
        get(address, Authorization=f"Basic {TOKEN}"),
        get(address, Authorization=f"Bearer {TOKEN[:-1]}"),
        get(address, Authorization="Bearer \xe9"),
        get(address, Cookie=f"vidclf_{guarded.port}=wrong"),
        get(address, Cookie=f"vidclf_{guarded.port}={TOKEN}"),
    ]
    assert [status for status, _, _ in attempts] == [401] * len(attempts)
    assert all(headers["www-authenticate"] == "Bearer" for _, headers, _ in attempts)
    assert json.loads(attempts[0][2]) == {"error": "a token is required: Authorization: Bearer TOKEN, or ?token=TOKEN"}


@pytest.mark.parametrize("route", ["/", "/api/stats", "/healthz", "/metrics"])
def test_the_token_opens_every_route(guarded: Serve, route: str) -> None:
    address = guarded.url[:-1] + route
    assert get(address, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert get(address, Authorization=f"bearer {TOKEN}", Host="camera.example")[0] == 200
    if route != "/":
        assert get(f"{address}?token={IN_AN_ADDRESS}")[0] == 200


def test_a_browser_swaps_the_token_for_a_cookie_that_does_not_tell_it(guarded: Serve) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    connection.request("GET", f"/?token={IN_AN_ADDRESS}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {attribute.lower() for attribute in attributes} == {"httponly", "path=/", "samesite=lax"}
    assert TOKEN not in cookie
    connection.close()
    assert get(guarded.url, Cookie=cookie)[0] == 200
    assert get(f"{guarded.url}cameras/0.jpg", Cookie=cookie)[0] in (200, 404)  # whether there is a picture yet


def test_a_person_without_the_token_is_asked_for_it(guarded: Serve) -> None:
    status, headers, body = get(guarded.url, Accept="text/html,*/*")
    assert status == 401
    assert headers["content-type"].startswith("text/html")
    assert b'method="post"' in body and b'name="token"' in body and b"Wrong token" not in body
    status, _, body = get(f"{guarded.url}?token=wrong", Accept="text/html,*/*")
    assert status == 401 and b'name="token"' in body and b"Wrong token." in body


@pytest.mark.parametrize(("proto", "secure"), [("", False), ("http", False), ("https", True), ("https, http", True)])
def test_the_form_brings_the_token_in_its_body(guarded: Serve, proto: str, secure: bool) -> None:
    """In its address, every proxy would write it down."""
    answer = post(guarded, f"token={IN_AN_ADDRESS}".encode(), **{"X-Forwarded-Proto": proto})
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    cookie, *attributes = answer.headers["Set-Cookie"].lower().split("; ")
    assert ("secure" in attributes) == secure
    assert {"httponly", "samesite=lax"} <= set(attributes)
    # A browser that has the secure one must not be kept from signing in without TLS.
    assert cookie.startswith("__secure-vidclf_" if secure else "vidclf_")
    cookie = cookie.replace("__secure-", "__Secure-")
    assert get(guarded.url, Cookie=cookie, **{"X-Forwarded-Proto": proto})[0] == 200


@pytest.mark.parametrize("body", [b"token=wrong", b"token=", b"", b"\xff", b"token=\xed%A0%80", b"x" * 100_000])
def test_a_form_without_the_token_is_refused_in_words(
    guarded: Serve, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.web.guard.GUESS", 0.0)
    answer = post(guarded, body)
    assert (answer.status, answer.headers["Set-Cookie"]) == (401, None)
    assert "Wrong token." in answer.text  # type: ignore[attr-defined]


def test_guesses_of_the_token_are_slow_and_told(caplog: pytest.LogCaptureFixture) -> None:
    began = perf_counter()
    with page([Camera()], token=TOKEN) as guarded, caplog.at_level(logging.WARNING, "vidclf"):
        assert get(f"{guarded.url}healthz", Authorization="Basic eA==")[0] == 401  # a proxy's, no guess
        assert caplog.records == []
        for guess in ("a", "b"):
            assert get(f"{guarded.url}healthz", Authorization=f"Bearer {guess}")[0] == 401
    assert perf_counter() - began > 2 * 0.5
    assert caplog.messages == ["wrong tokens for the web page so far: 1, this one from 127.0.0.1"]


def test_who_leaves_amid_the_form_writes_nothing_into_the_log(guarded: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\ntoken=")
    assert get(f"{guarded.url}api/stats")[0] == 401
    sleep(0.3)
    assert caplog.messages == []


def test_only_the_page_itself_takes_forms(guarded: Serve, serve: Serve) -> None:
    assert post(guarded, f"token={IN_AN_ADDRESS}".encode(), "/api/stats").status == 401
    assert post(serve, b"token=x").status == 405  # there is no token


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example", "[::1"])
def test_without_a_token_only_this_machines_names_are_answered(serve: Serve, host: str) -> None:
    """Else a page of another site could point its own name here, and read: DNS rebinding."""
    assert get(f"{serve.url}api/stats", Host=host)[0] in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80", "[::1]:8000", "127.8.8.8"])
def test_this_machines_names_are_answered_whatever_the_port(serve: Serve, host: str) -> None:
    assert get(f"{serve.url}api/stats", Host=host)[0] == 200
