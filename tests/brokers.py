"""Real message brokers on loopback, that tests can stop, start again and freeze."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen"
        sleep(0.02)


class Program:
    """A server program that listens on a port of its own."""

    def __init__(self, program: str, folder: Path):
        if (found := shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")) is None:
            pytest.skip(f"needs the program {program}")
        self.path, self.folder, self.port = found, folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self.path, *self.command()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def freeze(self) -> None:
        """From now on it accepts connections, as the system does that for it, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Mosquitto(Program):
    """Eclipse Mosquitto, and a subscriber to all of its topics that comes back whenever it does."""

    def __init__(self, folder: Path, password: str | None = None, certificate: Path | None = None):
        """certificate: a PEM file with a key; `tls_port` then wants TLS."""
        super().__init__("mosquitto", folder)
        mqtt = pytest.importorskip("paho.mqtt.client")
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'false' if password else 'true'}"]
        if certificate:
            self.tls_port = free_port()
            lines += [f"listener {self.tls_port} 127.0.0.1", f"certfile {certificate}", f"keyfile {certificate}"]
            lines += [f"user {os.environ.get('USER', 'root')}"]
        if password:
            passwords = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "user", password], check=True)
            lines += [f"password_file {passwords}", f"user {os.environ.get('USER', 'root')}"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self.got: list[tuple[str, str]] = []  # topic, payload
        self._subscriber = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if password:
            self._subscriber.username_pw_set("user", password)
        self._subscriber.reconnect_delay_set(0.05, 0.05)
        self._ready = False
        self._subscriber.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._subscriber.on_disconnect = lambda *_: setattr(self, "_ready", False)
        self._subscriber.on_subscribe = lambda *_: setattr(self, "_ready", True)
        self._subscriber.on_message = lambda client, data, m: self.got.append((m.topic, m.payload.decode()))

    def command(self) -> list[str]:
        return ["-c", str(self.folder / "mosquitto.conf")]

    def start(self) -> None:
        super().start()
        if not self._subscriber.is_connected() and self._subscriber._thread is None:
            self._subscriber.connect("127.0.0.1", self.port)
            self._subscriber.loop_start()
        wait_for(lambda: self._ready)

    def end(self) -> None:
        self._subscriber.disconnect()
        self._subscriber.loop_stop()
        self.stop()

    def events(self) -> list[dict[str, Any]]:
        """What has arrived so far."""
        return [json.loads(payload) for topic, payload in list(self.got) if payload.startswith("{")]


class RedisServer(Program):
    """Redis with an append-only file, so that what it has confirmed is there after a restart."""

    def __init__(self, folder: Path):
        super().__init__("redis-server", folder)
        self._redis = pytest.importorskip("redis")

    def command(self) -> list[str]:
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "yes", "save": ""}
        return [word for name, value in settings.items() for word in (f"--{name}", str(value))]

    def end(self) -> None:
        self.stop()

    def events(self, stream: str = "vidclf:clip") -> list[dict[str, Any]]:
        """What the stream holds."""
        with self._redis.Redis(port=self.port, decode_responses=True) as client:
            return [json.loads(entry["event"]) for _, entry in client.xrange(stream)]
