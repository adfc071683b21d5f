"""`vidclf run` with live sources, as its users see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from tests.clips import look
from tests.servers import RtspServer, free_port, mjpeg_server
from vidclf.cli.live import live_outputs, split_name
from vidclf.cli.main import main


def vidclf(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.yaml").write_text("- capture\n- motion\n- annotate\n")


def test_several_cameras_run_together_and_one_that_never_comes_does_not_matter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    absent = f"rtsp://me:secret@127.0.0.1:{free_port()}/cam"
    with mjpeg_server() as one, mjpeg_server() as two:
        urls = [f"http://me:secret@{one}/a", f"http://{two}/b?token=secret"]
        code, _, err = vidclf(
            capsys, "run", *urls, absent, "-p", "plain.yaml", "-o", "out", "--record", "rows.csv", "--record-frames",
            "--stats", "s.json", "--max-frames", 30, "--give-up-after", "2s",
        )  # fmt: skip
    assert code == 1  # one was given up
    assert "/cam: no picture for 2 s" in err
    stats = json.loads(Path("s.json").read_text())
    names = [f"http://me:***@{one}/a", f"http://{two}/b?token=***", absent.replace("secret", "***")]
    assert sorted(stats["sources"]) == sorted(names)
    for name in names[:2]:
        entry = stats["sources"][name]
        assert entry["read"] == entry["finished"] + entry["corrupt"] + sum(entry["dropped"].values())
        assert entry["finished"] > 5 and entry["lag_ms"]["p95"] > 0 and entry["reconnects"] == 0
    assert stats["sources"][names[2]] | {"read": 0, "problem": "Connection refused"} == stats["sources"][names[2]]
    files = sorted(Path("out").iterdir())
    assert len(files) == 2 and all(look(file, numbered=False).times for file in files)
    rows = Path("rows.csv").read_text()
    assert {row.split(",")[0] for row in rows.splitlines()[1:]} == set(names[:2])
    assert "secret" not in err + rows + Path("s.json").read_text() + "".join(map(str, files))


def test_a_camera_with_a_name_is_called_so_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    with mjpeg_server() as host:
        sources = [f"door=http://me:secret@{host}/a", f"back_yard=http://{host}/b"]
        code, _, err = vidclf(
            capsys, "run", *sources, "-p", "plain.yaml", "-o", "out", "--record", "rows.csv", "--record-frames",
            "--stats", "s.json", "--trace", "t.json", "--max-frames", 10,
        )  # fmt: skip
    assert code == 0, err
    assert sorted(json.loads(Path("s.json").read_text())["sources"]) == ["back_yard", "door"]
    assert {row.split(",")[0] for row in Path("rows.csv").read_text().splitlines()[1:]} == {"door", "back_yard"}
    files = sorted(path.name for path in Path("out").iterdir())
    assert [re.sub(r"\d{8}T\d{6}Z", "TIME", name) for name in files] == ["back_yard-TIME.mp4", "door-TIME.mp4"]
    assert "door, back_yard: " in err
    assert host not in err + Path("t.json").read_text()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("door=rtsp://me:secret@host/a?b=c", ("door", "rtsp://me:secret@host/a?b=c")),
        ("cam_1-A=0", ("cam_1-A", "0")),
        ("door=/dev/video2", ("door", "/dev/video2")),
        ("rtsp://host/a?url=rtsp://b", (None, "rtsp://host/a?url=rtsp://b")),
        ("door=clip.mp4", (None, "door=clip.mp4")),
        ("there=1", (None, "there=1")),
        ("frames/a=1", (None, "frames/a=1")),
        ("0", (None, "0")),
    ],
)
def test_what_is_a_name_and_what_belongs_to_the_source(source: str, expected: tuple[str | None, str]) -> None:
    Path("there=1").touch()
    assert split_name(source) == expected


@pytest.mark.parametrize(
    ("target", "video"),
    [("cams.v1/", f"cams.v1{os.sep}"), ("cams", f"cams{os.sep}"), ("cam.mp4", "cam.mp4"), (None, None)],
)
def test_where_a_cameras_video_goes(target: str | None, video: str | None) -> None:
    assert live_outputs(["rtsp://host/cam"], target, None) == (video, None)


def test_in_a_folder_a_run_leaves_the_record_of_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    with mjpeg_server() as host:
        for _ in range(2):
            code, _, err = vidclf(
                capsys, "run", f"http://{host}/a", "-p", "plain.yaml", "--record", "out", "--max-frames", 2
            )
            assert code == 0, err
    records = sorted(Path("out").iterdir())
    assert len(records) == 2
    assert all(re.fullmatch(r"record-\d{8}T\d{6}Z(-2)?\.jsonl", record.name) for record in records)


def test_a_camera_that_never_came_leaves_nothing_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    source = f"rtsp://127.0.0.1:{free_port()}/cam"
    code, _, err = vidclf(capsys, "run", source, "-p", "plain.yaml", "-o", "out", "--give-up-after", "500ms")
    assert code == 1
    assert "wrote" not in err


@pytest.mark.parametrize("quiet", [["--quiet"], []])
def test_a_source_that_is_given_up_is_an_error(capsys: pytest.CaptureFixture[str], quiet: list[str]) -> None:
    address = f"127.0.0.1:{free_port()}/cam"
    arguments = [f"rtsp://me:secret@{address}", "-p", "plain.yaml", "-o", "out", "--give-up-after", "500ms", *quiet]
    code, _, err = vidclf(capsys, "run", *arguments)
    assert code == 1
    said = f"Error: gave up on rtsp://me:***@{address}: Connection refused\n"
    assert err == said if quiet else err.endswith(said) and err.count("rror:") == 1


def test_ctrl_c_is_the_normal_end_of_a_live_stream_and_its_segments_play() -> None:
    with RtspServer("a=160x120@25", "b=96x72@10") as server:
        command = [sys.executable, "-m", "vidclf", "run", server.url("a", "me:secret@"), server.url("b"), "-o", "out"]
        command += ["-p", "plain.yaml", "--segment", "2s", "--stats", "-"]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(300):
            if Path("out").exists() and len(list(Path("out").glob("*.mp4"))) >= 2:
                break
            sleep(0.1)
        server.kill()  # and Ctrl-C ends a run that waits for its cameras, too
        sleep(0.5)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == 0, err
    stats = json.loads(out)
    assert [entry["state"] for entry in stats["sources"].values()] == ["ended", "ended"]
    files = list(Path("out").iterdir())
    assert len(files) >= 3 and all(file.suffix == ".mp4" for file in files)
    for file in files:
        assert look(file, numbered=False).times
    assert "stopping: finishing the frames in progress" in err
    assert "secret" not in out + err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["rtsp://me:secret@host/a", "clip.mp4"],
            "live and recorded sources cannot run together (rtsp://me:***@host/a is live, clip.mp4 is not); "
            "run them separately",
        ),
        (["a=udp://@:1", "A=udp://@:2"], "several sources are called A; give each its own name (NAME=URL)"),
        (["7=udp://@:1", "7"], "several sources are called 7; give each its own name (NAME=URL)"),
        (
            ["udp://@:1", "udp://@:2", "--set", "capture.name=a"],
            "several sources are called a; give each its own name (NAME=URL)",
        ),
        (
            ["http://host/a?token=b", "http://host/a?token=c"],  # their rows were of one source
            "several sources are called http://host/a?token=***; give each its own name (NAME=URL)",
        ),
        (
            ["front door=rtsp://me:secret@host/a"],
            "a source's name must be letters, digits, - and _, got 'front door' for rtsp://me:***@host/a",
        ),
        (["udp://@:1", "udp://@:2", "-o", "a.mp4"], "several sources need a folder for their videos, got a.mp4"),
        (["udp://@:1", "--only-when", "person"], "--only-when is for recordings; name the output with -o"),
        (
            ["udp://@:1", "--latency-target", "fast"],
            "--latency-target must be a time above 0, like 90s, 10m or 1h30m, got 'fast'",
        ),
        (["a.mp4", "--latency-target", "1s"], "--latency-target is for live sources; a recording can wait"),
        (["a.mp4", "--give-up-after", "1s"], "--give-up-after is for live sources; a recording can wait"),
        (
            ["a.mp4", "-o", "b.mp4", "--segment", "1m", "--keep", "7d"],
            "--keep is for live sources; files made from a recording are kept",
        ),
        (
            ["a.mp4", "-o", "b.mp4", "--segment", "1m", "--keep-size", "5G"],
            "--keep-size is for live sources; files made from a recording are kept",
        ),
        (
            ["a.mp4", "-o", "b.mp4", "--post-roll", "2s"],
            "--post-roll is for events; choose them with --only-when",
        ),
        (
            ["a.mp4", "-o", "b.mp4", "--only-when", "bag,"],
            "motion, item 6: write: only_when must name kinds or labels, or any, got 'bag', ''",
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert vidclf(capsys, "run", *arguments) == (2, "", f"Error: {message}\n")
