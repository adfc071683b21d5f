"""What `serve` says before it serves; the page itself is tested in tests/web."""

from __future__ import annotations

import errno
import logging
import socket
from pathlib import Path

import pytest

from tests.frames import Frames, make_frames
from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.run import run
from vidclf.errors import UsageError, VidclfError
from vidclf.pipeline import Pipeline
from vidclf.stages import Serve
from vidclf.stages.serve import parse_address


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("localhost", ("localhost", 8000)),
        ("[::1]:80", ("::1", 80)),
        ("8124", ("127.0.0.1", 8124)),
        (":8124", ("127.0.0.1", 8124)),
        ("0", ("127.0.0.1", 0)),
        ("camera-host.local:0", ("camera-host.local", 0)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, parsed: tuple[str, int]) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize(
    "text", ["", ":", "host:", "65536", ":65536", "host:65536", "host:port", "::1", "http://host:80", "a b:80"]
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    allowed = "PORT (0 to 65535), HOST:PORT or [IPv6]:PORT, like 127.0.0.1:8000"
    assert str(caught.value) == f"the address must be {allowed}, got {text!r}"


@pytest.mark.parametrize("address", ["0.0.0.0:8000", "[::]:8000", "192.168.1.2:8000", "camera.example:8000"])
def test_beyond_this_machine_a_token_is_needed_and_the_error_says_so(address: str) -> None:
    with pytest.raises(UsageError, match="can be reached from other machines; protect the page with --token"):
        Serve(address)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps must be 0.1 to 120, got 0"),
        ({"width": 10}, "width must be 64 to 8192 pixels, got 10"),
        ({"quality": 0}, "quality must be 1 to 100, got 0"),
        ({"token": ""}, "the token must be one or more visible ASCII characters, without spaces"),
        ({"token": "my secret"}, "the token must be one or more visible ASCII characters, without spaces"),
    ],
)
def test_wrong_options_are_told_but_never_the_token(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Serve(**{"address": "127.0.0.1:0", **options})
    assert "secret" not in str(caught.value)


def test_a_port_that_is_taken_is_told_before_anything_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(VidclfError, match=f"cannot serve on 127.0.0.1:{port}: the port is in use") as caught:
            Serve(f"127.0.0.1:{port}")
    assert caught.value.exit_code == 1
    Serve(f"127.0.0.1:{port}")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_the_machine_may_still_get_is_no_wrong_usage(host: str) -> None:
    """A service that began before its network was up ended with exit code 2, after which systemd does not restart."""
    with pytest.raises(VidclfError, match=f"cannot serve on {host}:8000: {host} is not an address") as caught:
        Serve(f"{host}:8000", token="x")
    assert caught.value.exit_code == 1


def test_a_port_that_is_not_allowed_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not become free by waiting."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(UsageError, match=r"cannot serve on 127\.0\.0\.1:80: Permission denied"):
        Serve("127.0.0.1:80")


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.stages.serve.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(UsageError, match=r'the web page needs uvicorn: pip install "vidclf\[web\]"'):
        Serve("127.0.0.1:0")


def test_frames_pass_unchanged_with_or_without_a_pipeline() -> None:
    frames = list(make_frames(5))
    pictures = [frame.image.copy() for frame in frames]
    assert list(Serve("127.0.0.1:0")(frames)) == frames
    assert all((frame.image == before).all() for frame, before in zip(frames, pictures, strict=True))


def test_one_stage_serves_one_run_after_another() -> None:
    serve = Serve("127.0.0.1:0")
    for _ in range(2):
        assert Pipeline([Frames(3), serve]).run()["ledger"]["finished"] == 3


def test_the_token_is_in_no_log_and_no_book(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    serve = Serve("127.0.0.1:0", token="correct-horse")
    stats = Pipeline([Frames(3), serve]).run()
    assert "correct-horse" not in caplog.text + str(stats) + repr(serve) + serve.url


@pytest.mark.parametrize(
    ("words", "address", "sources"),
    [
        (["--serve", "0"], "127.0.0.1:8000", ("0",)),
        (["--serve", "in.mp4"], "127.0.0.1:8000", ("in.mp4",)),
        (["--serve", "rtsp://host:554/a"], "127.0.0.1:8000", ("rtsp://host:554/a",)),
        (["in.mp4", "--serve"], "127.0.0.1:8000", ("in.mp4",)),
        (["--serve", "--quiet", "in.mp4"], "127.0.0.1:8000", ("in.mp4",)),
        (["--serve", "0.0.0.0:80", "in.mp4"], "0.0.0.0:80", ("in.mp4",)),
        (["--serve", "[::1]:80", "in.mp4"], "[::1]:80", ("in.mp4",)),
        (["--serve=localhost", "in.mp4"], "localhost", ("in.mp4",)),
        (["0", "--serve", "8124"], "8124", ("0",)),
        (["--serve", "8124", "0"], "8124", ("0",)),
        (["--serve=8124", "0"], "8124", ("0",)),
        (["--serve", ":8124", "0"], ":8124", ("0",)),
        (["--serve", "localhost:port", "0"], "localhost:port", ("0",)),  # it is no source, and is refused
        (["--serve", "127.0.0.1:812400", "0"], "127.0.0.1:812400", ("0",)),
        (["--serve", "C:\\in.mp4"], "127.0.0.1:8000", ("C:\\in.mp4",)),
    ],
    ids=" ".join,
)
def test_serve_may_stand_alone_on_the_command_line(words: list[str], address: str, sources: tuple[str, ...]) -> None:
    params = run.make_context("run", words).params
    assert (params["serve"], params["sources"]) == (address, sources)


def test_run_puts_the_page_before_the_window_and_both_behind_the_rest() -> None:
    options = RunOptions(serve="127.0.0.1:0", token="x", display=True)
    items = assemble(options, "in.mp4", Path("out.mp4"), Path("out.jsonl"))
    assert [item.name for item in items][-4:] == ["write", "record", "serve", "display"]
    assert items[-2].options == {"address": "127.0.0.1:0", "token": "x"}
    assert not any("token" in item.options for item in assemble(RunOptions(token="x"), "in.mp4", None, None))
