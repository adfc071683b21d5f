"""Fixtures that every test may use."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, RedisServer

THREADS = os.environ.get("VIDCLF_THREADS", "")


@pytest.fixture(scope="session", autouse=True)
def own_cache(pytestconfig: pytest.Config) -> Iterator[None]:
    """Converted networks are kept between test runs, but not among the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDCLF_CACHE", str(pytestconfig.cache.mkdir("vidclf")))
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """A shell makes what it starts in the background (`make test &`) ignore Ctrl-C, which some tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stages of somebody's own, in a test's folder, are not found by the next test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield
    below = str(tmp_path_factory.getbasetemp())
    for name in sys.modules.keys() - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(below):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command, run in this process, sets for the process does not stay: `--threads`, a handler of SIGTERM."""
    monkeypatch.setenv("VIDCLF_THREADS", THREADS)  # also if a fixture of the whole module has set it
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command, run in this process, sets up for its messages does not stay for the next test."""
    logger = logging.getLogger("vidclf")
    handlers, level = logger.handlers, logger.level
    yield
    logger.handlers = handlers
    logger.setLevel(level)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own; skips where there is none."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.end()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """An MQTT broker of the test's own; skips where there is none."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.end()


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is not in the repository; tests that need it are skipped where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data, which is not part of the repository")
    return SHARED / "data"
