"""What is left when a run does not end as it should: killed, interrupted, a full disk, a server that falls silent."""

from __future__ import annotations

import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.clips import look, write_clip
from vidclf.cli.main import main
from vidclf.frame import Frame
from vidclf.pipeline import Pipeline
from vidclf.stages.capture import Capture
from vidclf.stages.write import Write
from vidclf.video import opening

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
STAGES = """
import time

class Pace:
    '''As slow a stage as wanted; it notes when each frame left it.'''
    def __init__(self, fps: float):
        self.fps = fps
    def __call__(self, frames):
        with open("passed", "w", buffering=1) as passed:
            for frame in frames:
                time.sleep(1 / self.fps)
                passed.write(f"{time.monotonic()} {frame.index}\\n")
                yield frame
"""


def start(folder: Path, clip: Path, target: str, fps: float, *options: str) -> subprocess.Popen[str]:
    """A slow run as a process of its own, in a folder of its own; it returns when the first frames have passed."""
    folder.mkdir()
    (folder / "slow.py").write_text(STAGES)
    (folder / "slow.yaml").write_text(f"- capture\n- slow:Pace: {{fps: {fps}}}\n- write\n")
    command = [sys.executable, "-m", "vidclf", "run", str(clip), "-p", "slow.yaml", "-o", target, "--quiet", *options]
    run = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not ((folder / "passed").exists() and len(passed(folder)) > 3):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()[1]
        time.sleep(0.01)
    return run


def passed(folder: Path) -> list[tuple[float, int]]:
    """When each frame left the slow stage, and its number."""
    lines = [line.split() for line in (folder / "passed").read_text().splitlines()]
    return [(float(line[0]), int(line[1])) for line in lines if len(line) == 2]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"slow.py", "slow.yaml", "passed", "__pycache__"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, bool], Path]:
    """Sources of 20 s by (frames a second, with sound?)."""
    folder = tmp_path_factory.mktemp("clips")
    kinds = [(rate, sound) for rate in (10, 30) for sound in (False, True)]
    return {
        (rate, sound): write_clip(folder / f"{rate}-{sound}.mp4", rate * 20, rate=rate, sound="aac" if sound else None)
        for rate, sound in kinds
    }


@posix
def test_a_killed_run_leaves_a_part_that_plays_to_shortly_before(tmp_path: Path, clips: dict) -> None:
    """At most 2 s are lost, in the clip's time and on the clock, though frames pass at 10 a second only."""
    cases = [("mp4", 10, False), ("mp4", 30, True), ("mkv", 30, True), ("webm", 10, True)]
    folders = {case: tmp_path / "-".join(map(str, case)) for case in cases}
    runs = {case: start(folders[case], clips[case[1:]], f"out.{case[0]}", fps=10) for case in cases}
    time.sleep(2.5)
    for (suffix, rate, sound), run in runs.items():
        folder = folders[suffix, rate, sound]
        run.kill()
        killed = time.monotonic()
        run.communicate(timeout=10)
        frames = passed(folder)
        assert names(folder) == {f"out.{suffix}.part", f".out.{suffix}.lock"}
        seen = look(folder / f"out.{suffix}.part")
        assert seen.indices == list(range(len(seen.indices)))
        assert len(seen.indices) > 10
        last = len(seen.indices) - 1
        assert (frames[-1][1] - last) / rate < 2
        assert killed - frames[last][0] < 2
        if sound:
            assert len(seen.sound) / seen.sound_rate > seen.times[-1] - 1


@posix
def test_ctrl_c_finishes_what_is_inside(tmp_path: Path, clips: dict) -> None:
    outputs = ["--record", "out.jsonl", "--record-frames", "--stats", "stats.json"]
    run = start(tmp_path / "run", clips[30, True], "out.mp4", 100, *outputs)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert (run.returncode, said) == (130, "")
    assert names(tmp_path / "run") == {"out.mp4", "out.jsonl", "stats.json"}
    seen = look(tmp_path / "run" / "out.mp4")
    count = len(seen.indices)
    assert 20 < count < 500
    assert seen.indices == [i % 256 for i in range(count)]
    rows = (tmp_path / "run" / "out.jsonl").read_text().splitlines()[1:]
    assert [json.loads(row)["frame"] for row in rows] == list(range(count))
    books = json.loads((tmp_path / "run" / "stats.json").read_text())["ledger"]
    assert (books["read"], books["finished"]) == (count, count)
    assert len(seen.sound) / seen.sound_rate == pytest.approx(count / 30, abs=0.05)  # cut off where the pictures end


@posix
def test_a_second_ctrl_c_aborts(tmp_path: Path, clips: dict) -> None:
    run = start(tmp_path / "run", clips[10, True], "out.mp4", 5, "--record", "out.jsonl", "--record-frames")
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    time.sleep(0.7)  # sooner it counts as the same
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert time.monotonic() - began < 3  # what waits in the queues would take 6 s
    assert run.returncode == 130
    assert said.strip() == "interrupted"
    assert names(tmp_path / "run") == {"out.mp4.part", "out.jsonl.part"}
    assert look(tmp_path / "run" / "out.mp4.part").indices[:3] == [0, 1, 2]


def test_an_abort_between_two_frames_is_no_end_of_them(tmp_path: Path, clips: dict) -> None:
    """Ctrl-C may hit the caller's thread anywhere, also where no stage is at work."""

    def interrupt(frame: Frame) -> None:
        if frame.index == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline([Capture(str(clips[30, True])), Write(str(tmp_path / "out.mp4"))]).run(watch=interrupt)
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4.part"}
    assert look(tmp_path / "out.mp4.part").indices == list(range(21))


Served = tuple[str, Path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What an HTTP server on this machine is called, and the folder it shows."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    folder = tmp_path_factory.mktemp("served")
    write_clip(folder / "clip.mkv", 60, sound="aac", size=(192, 144))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()


@contextmanager
def stubborn_server(answer: bytes = b"") -> Iterator[str]:
    """One that takes calls, says what it has to say, and then nothing for ever."""
    calls = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                call, _ = listener.accept()
                calls.append(call)
                call.recv(4096)
                call.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for call in calls:
            call.close()


def run_url(url: str, capfd: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Capture and write a URL in the current folder; gives the exit code and the lines on stderr."""
    Path("plain.yaml").write_text("- capture\n- write\n")
    with pytest.raises(SystemExit) as left:
        main(["run", url, "-p", "plain.yaml", "-o", "out.mp4", *options])
    return int(left.value.code or 0), capfd.readouterr().err.splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder; and little patience with servers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "PATIENCE", (1.0, 1.0))
    return tmp_path


def test_a_url_is_a_source_with_sound_and_its_password_is_nobodys_business(
    folder: Path, served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    host, shown = served
    outputs = ["--record", "out.jsonl", "--record-frames", "--stats", "s.json"]
    code, said = run_url(f"http://user:secret@{host}/clip.mkv?a=b", capfd, *outputs)
    assert code == 0
    before, after = look(shown / "clip.mkv"), look(folder / "out.mp4")
    assert after.indices == before.indices
    assert len(after.sound) == len(before.sound)
    everything = "\n".join([*said, Path("out.jsonl").read_text(), Path("s.json").read_text()])
    assert f"http://user:***@{host}/clip.mkv" in everything
    assert "secret" not in everything


def test_servers_that_refuse_are_one_line(folder: Path, served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = f"127.0.0.1:{nobody.getsockname()[1]}"
    for url, reason in [
        (f"user:secret@{served[0]}/missing.mp4", "Server returned 404 Not Found"),
        (f"user:secret@{closed}/clip.mp4", "Connection refused"),
    ]:
        shown = url.replace("secret", "***")
        assert run_url(f"http://{url}", capfd) == (1, [f"Error: cannot read http://{shown} as video: {reason}"])
    assert names(folder) == {"plain.yaml"}


def test_a_silent_server_is_given_up(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with stubborn_server() as host:
        code, said = run_url(f"http://user:secret@{host}/clip.mp4", capfd)
    assert time.monotonic() - began < 3
    assert (code, said) == (
        1, [f"Error: cannot read http://user:***@{host}/clip.mp4 as video: no data for 1 s"],
    )  # fmt: skip


def test_a_server_that_falls_silent_is_no_end_of_the_file(
    folder: Path, served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    content = (served[1] / "clip.mkv").read_bytes()
    header = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    with stubborn_server(header + content[: len(content) * 3 // 4]) as host:
        code, said = run_url(f"http://{host}/clip.mkv", capfd)
    assert (code, said) == (
        1, [f"Error: http://{host}/clip.mkv cannot be read any further: no data for 1 s"],
    )  # fmt: skip
    assert names(folder) == {"plain.yaml", "out.mp4.part"}
    assert look(folder / "out.mp4.part").indices[:20] == list(range(20))
