"""Live sources for tests, on loopback: GStreamer's RTSP server, MJPEG over HTTP, MPEG-TS over UDP."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import sleep

import av
import cv2
import numpy as np
import pytest

from tests.clips import picture

SYSTEM_PYTHON = "/usr/bin/python3"
BROKEN = b"\xff\xd8" + bytes(400) + b"\xff\xd9"  # a JPEG that holds no picture
BINDINGS = "import gi; gi.require_version('GstRtspServer', '1.0')"


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class RtspServer:
    """`with RtspServer("cam=160x120@25") as server:` serves `server.url("cam")`; may die, come back, fall silent."""

    def __init__(self, *mounts: str, start: bool = True):
        has_bindings = (
            Path(SYSTEM_PYTHON).exists()
            and not subprocess.run(
                [SYSTEM_PYTHON, "-c", BINDINGS], capture_output=True, timeout=30, check=False
            ).returncode
        )
        if not has_bindings:
            pytest.skip("needs GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0)")
        self.port, self._mounts, self._start = free_port(), mounts, start
        self._process: subprocess.Popen[str] | None = None

    def url(self, name: str, user: str = "") -> str:
        return f"rtsp://{user}127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        command = [SYSTEM_PYTHON, str(script), str(self.port), *self._mounts]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout and self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stall(self) -> None:
        """Connections are still accepted, by the kernel, but nothing is sent."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> RtspServer:
        if self._start:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@contextmanager
def mjpeg_server(rate: float = 25.0, frames: int = 10_000, status: int = 200, good: int = 10_000) -> Iterator[str]:
    """A camera that shows numbered pictures as MJPEG over HTTP, from 0 at every connection; gives its host and port.

    good: pictures of a connection before all are broken.
    """
    gone = Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with suppress(OSError):
                for number in range(frames if status == 200 else 0):
                    jpeg = cv2.imencode(".jpg", picture(number % 256))[1].tobytes() if number < good else BROKEN
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    if gone.wait(1 / rate):
                        return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        gone.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def udp_sender(port: int, rate: int = 25, size: tuple[int, int] = (96, 72)) -> Iterator[None]:
    """Sends numbered pictures as MPEG-TS over UDP to a port of this machine until the block is left."""
    gone = Event()

    def send() -> None:
        target = f"udp://127.0.0.1:{port}?pkt_size=1316"
        with av.open(target, "w", format="mpegts", options={"flush_packets": "1"}) as output:
            stream = output.add_stream("libx264", rate=rate, options={"tune": "zerolatency", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.gop_size = rate
            stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
            number = 0
            while not gone.wait(1 / rate):
                shot = av.VideoFrame.from_ndarray(picture(number % 256, size), format="bgr24")
                shot.pts = number * 90_000 // rate
                with suppress(OSError):  # nobody listens yet
                    output.mux(stream.encode(shot))
                number += 1

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        gone.set()
        thread.join()


def wait_for(condition: object, seconds: float = 10.0) -> None:
    """Wait until a condition (a callable) holds; fail if it does not in time."""
    for _ in range(int(seconds / 0.02)):
        if condition():  # type: ignore[operator]
            return
        sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s")


@contextmanager
def sound_goes_on(seconds: float) -> Iterator[str]:
    """A live MPEG-TS over TCP: so many seconds of pictures with sound, then sound alone; gives its address."""
    packed = io.BytesIO()
    with av.open(packed, "w", format="mpegts") as output:
        video = output.add_stream("libx264", rate=25, options={"tune": "zerolatency", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        sound = output.add_stream("mp2", rate=48_000)
        for number in range(round(seconds * 25)):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture(number % 256), format="bgr24")))
        output.mux(video.encode(None))
        until = packed.tell()
        for number in range(1000):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
            silence.pts, silence.rate = number * 1152, 48_000
            output.mux(sound.encode(silence))
    gone = Event()
    server = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        while not gone.is_set():
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(packed.getvalue()[:until])
                    for begin in range(until, packed.tell(), 1316):  # 20 packets of 188 bytes
                        connection.sendall(packed.getvalue()[begin : begin + 1316])
                        if gone.wait(0.04):
                            return

    thread = Thread(target=send)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        gone.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
