"""`vidclf run` as its users see it: files, messages, exit codes. What a stage does is tested with the stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from tests.cli.conftest import SAMPLE, Run, names


def test_the_main_job(vidclf: Run) -> None:
    code, out, err = vidclf(
        "run", SAMPLE, "-o", "out.mp4", "--record", "out.jsonl", "--stats", "s.json", "--max-frames", 90
    )
    assert (code, out) == (0, "")
    assert "wrote out.mp4" in err
    assert "wrote out.jsonl" in err
    stats = json.loads(Path("s.json").read_text())
    assert stats["ledger"] == {"read": 90, "finished": 90, "corrupt": 0, "dropped": {}}
    assert stats["detections"] > 20
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert rows[0]["schema"] == 1
    assert len(rows) - 1 == stats["detections"] == sum(stats["labels"].values())
    assert {name for row in stats["stages"] for name in row} >= {
        "name", "in", "out", "busy_s", "wait_in_s", "wait_out_s", "p50_ms", "p95_ms", "p99_ms",
    }  # fmt: skip
    assert names() == {"out.mp4", "out.jsonl", "s.json"}


def test_stats_go_to_stdout_alone(vidclf: Run) -> None:
    code, out, _ = vidclf("run", SAMPLE, "--max-frames", 5, "--stats", "-")
    assert code == 0
    assert json.loads(out)["ledger"]["read"] == 5


def test_a_trace_goes_to_stdout_alone(vidclf: Run) -> None:
    code, out, _ = vidclf("run", SAMPLE, "--max-frames", 5, "--trace", "-")
    assert (code, names()) == (0, set())
    assert json.loads(out)["traceEvents"]


def test_quiet_says_nothing(vidclf: Run) -> None:
    assert vidclf("run", SAMPLE, "--max-frames", 5, "--record", "out.csv", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("in.mp4.part", ["-o", "in.mp4"], "in.mp4 is called in.mp4.part while it is written"),
        ("in.part.mp4", ["-o", "in.mp4"], "in.mp4 is called in.part.mp4 while it is written"),
        ("in-000000.mp4", ["-o", "in.mp4", "--segment", "1s"], "the parts of in.mp4 could overwrite the source"),
        ("file://{here}/in.mp4", ["-o", "in.mp4", "--force"], "in.mp4 would overwrite the source file://"),
        ("linked.mp4", ["-o", "in.mp4", "--force"], "in.mp4 would overwrite the source linked.mp4"),
    ],
)
def test_a_source_is_never_written_to(vidclf: Run, source: str, options: list[str], message: str) -> None:
    """The video that a crash had left, as in.mp4.part, was emptied while it was read."""
    whole = Path(SAMPLE).read_bytes()
    for name in ("in.mp4", "in.mp4.part", "in.part.mp4", "in-000000.mp4"):
        Path(name).write_bytes(whole)
    Path("linked.mp4").hardlink_to("in.mp4")
    if "--force" not in options:
        Path("in.mp4").unlink()
    code, _, err = vidclf("run", source.format(here=Path.cwd().as_posix()), *options, "--max-frames", 3)
    assert code == 2
    assert message in err
    assert all(path.read_bytes() == whole for path in Path().glob("in*"))


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (r'- record: {path: "a\0b.jsonl"}', "item 2: record: ValueError: embedded null byte"),
        (r'- write: {path: "\ud800.mp4"}', "item 2: write: UnicodeEncodeError: 'utf-8' codec can't encode"),
        ("- capture\n- capture", "Error: odd.yaml: several sources need a stage after them"),
    ],
)
def test_a_pipeline_file_that_cannot_run_is_one_line(vidclf: Run, pipeline: str, message: str) -> None:
    Path("odd.yaml").write_text(f"- capture\n{pipeline}\n")
    code, _, err = vidclf("run", SAMPLE, "-p", "odd.yaml")
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nosuch.mp4"], 2, "no such file: nosuch.mp4"),
        ([SAMPLE, "-p", "nosuch"], 2, "no such pipeline file: nosuch"),
        ([SAMPLE, "-o", "out.xyz"], 2, "cannot write .xyz"),
        ([SAMPLE, "-o", "out.mp4", "--set", "write.codec=nosuch"], 2, "unknown codec 'nosuch'"),
        ([SAMPLE, "--set", "motion.min_aera=1"], 2, "motion has no option 'min_aera'; did you mean min_area?"),
        ([SAMPLE, "--set", "motion.min_area=2"], 2, "motion, item 2: motion: min_area must be"),
        ([SAMPLE, "--set", "motion.min_area"], 2, "--set needs stage.option=value"),
        ([SAMPLE, "--set", "nosuch.size=1"], 2, "no stage 'nosuch'"),
        ([SAMPLE, "--nosuch"], 2, "No such option '--nosuch'"),
        ([SAMPLE, "--conf", "0.4"], 2, "No such option '--conf'; use --set yolo.confidence=0.4 (see"),
        ([SAMPLE, "--max-frames", "0"], 2, "--max-frames"),
        ([SAMPLE, "--weights", "nosuch"], 2, "nosuch"),
        ([SAMPLE, "--detector-weights", "nosuch.pt"], 2, "--detector-weights is for yolo"),
        ([SAMPLE, "--device", "gpu"], 2, "device must be"),
        ([SAMPLE, "-o", "exists.mp4"], 2, "exists.mp4 exists"),
        ([SAMPLE, "-o", "exists.mp4/out.mp4"], 2, "cannot write"),
        ([SAMPLE, "--record", "out.txt"], 2, "suffix must be one of"),
        ([SAMPLE, "--stats", "exists.mp4/s.json"], 2, "cannot write"),
        (["exists.mp4", "-o", "exists.mp4", "--force"], 2, "would overwrite the source"),
        (["exists.mp4", "--stats", "exists.mp4"], 2, "exists.mp4 would overwrite the source exists.mp4"),
        ([SAMPLE, "--stats", "s.json", "--trace", "s.json"], 2, "s.json would overwrite another output"),
        ([SAMPLE, "--record", "r.jsonl", "--stats", "r.jsonl"], 2, "r.jsonl would overwrite another output"),
        ([SAMPLE, "--stats", "."], 2, ". is a folder; name a file in it"),
        ([SAMPLE, "--trace", "."], 2, ". is a folder; name a file in it"),
        ([SAMPLE, "--set", "write.path=12"], 2, "cannot write a file without suffix (12)"),
        ([SAMPLE, SAMPLE, "-o", "out.mp4"], 2, "need a folder"),
        (
            ["exists.mp4", "./exists.mp4", "-o", "out"],
            2,
            f"exists.mp4 and ./exists.mp4 would both be written to {Path('out/exists.mp4')}; run each with its own -o,"
            " or use vidclf batch\n",
        ),
        ([SAMPLE, SAMPLE, "--record", "out/"], 2, f"would both be written to {Path('out/wardrobe.jsonl')}; run each "),
        (
            ["http://a/in.mp4", "http://b/in.mp4", "-o", "out"],
            2,
            f"http://a/in.mp4 and http://b/in.mp4 would both be written to {Path('out/in.mp4')}; name them (NAME=URL)",
        ),
        ([SAMPLE, "--token", "x"], 2, "--token is for the web page; add --serve"),
        ([SAMPLE, "--record-frames"], 2, "--record-frames is for the record"),
        (
            [SAMPLE, "--record", "-", "--stats", "-"],
            2,
            "--record and --stats cannot share stdout; write all but one of them",
        ),
        (
            [SAMPLE, "--trace", "-", "--stats", "-"],
            2,
            "--stats and --trace cannot share stdout; write all but one of them",
        ),
        ([SAMPLE, "-o", "s3://bucket/a.mp4"], 2, "Error: cannot write to the URL s3://bucket/a.mp4; name a file or a "),
        ([SAMPLE, "--record", "gs://me:secret@bucket/a.csv"], 2, "cannot write to the URL gs://me:***@bucket/a.csv; "),
        ([SAMPLE, "--stats", "s3://bucket/a.json"], 2, "cannot write to the URL s3://bucket/a.json; name a file or "),
        (["rtsp://127.0.0.1:9/x", "-o", "s3://bucket/"], 2, "cannot write to the URL s3://bucket/; name a file or a "),
        ([SAMPLE, "--set", "write.path=s3://b/a.mp4"], 2, "write: cannot write to the URL s3://b/a.mp4; name a file "),
        ([SAMPLE, "-o", "-"], 2, "-o -: a video cannot go to stdout; name a file (out.mp4) or a folder "),
        (["udp://@:1", "-o", "-"], 2, "-o -: a video cannot go to stdout; name a file "),
        (["-"], 2, "capture: source must be a file, a URL, a camera's number or a pattern of pictures, got - (stdin)"),
        (["exists.mp4"], 1, "cannot read exists.mp4 as video"),
    ],
    ids=lambda value: " ".join(value[1:]) or value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_leaves_nothing(vidclf: Run, arguments: list[str], code: int, message: str) -> None:
    Path("exists.mp4").write_text("mine")
    result, out, err = vidclf("run", *arguments, "--quiet")
    assert (result, out) == (code, "")
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1
    assert names() == {"exists.mp4"}
    assert Path("exists.mp4").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="makes a FIFO")
@pytest.mark.parametrize(
    ("option", "name", "where"),
    [
        ("--stats", "pipe", ""),
        ("--trace", "pipe", ""),
        ("--record", "pipe.csv", "--record: record: "),
        ("-o", "pipe.mp4", "motion, item 6: write: "),
    ],
)
def test_what_is_no_file_is_not_replaced_by_one(vidclf: Run, option: str, name: str, where: str) -> None:
    os.mkfifo(name)  # as /dev/stdout would be: a file that gets its name at last would take its place
    said = f"Error: {where}{name} is not an ordinary file\n"
    assert vidclf("run", SAMPLE, option, name, "--force") == (2, "", said)
    assert Path(name).is_fifo()


def test_without_a_source_it_says_what_is_missing(vidclf: Run) -> None:
    assert vidclf("run") == (2, "", "Error: Missing argument 'SOURCE...'. (see vidclf run --help)\n")


def test_a_stage_that_raises_is_named_with_the_frame_and_only_a_part_is_left(vidclf: Run) -> None:
    Path("mine.py").write_text(
        "class Fails:\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            if frame.index == 7:\n"
        "                raise RuntimeError('no luck')\n"
        "            yield frame\n"
    )
    Path("mine.yaml").write_text("- capture\n- mine:Fails\n- write\n- record\n")
    code, _, err = vidclf("run", SAMPLE, "-p", "mine.yaml", "-o", "out.mp4", "--record", "out.jsonl")
    assert code == 1
    assert err == (f"Error: in stage 'fails' at frame 7 of {SAMPLE}: RuntimeError: no luck (--debug shows where)\n")
    assert names() >= {"out.mp4.part", "out.jsonl.part"}
    assert not names() & {"out.mp4", "out.jsonl"}


def test_debug_shows_the_traceback(vidclf: Run) -> None:
    code, _, err = vidclf("run", "nosuch.mp4", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_a_pipeline_has_to_begin_with_capture(vidclf: Run) -> None:
    Path("mine.yaml").write_text("- annotate\n")
    assert vidclf("run", SAMPLE, "-p", "mine.yaml")[::2] == (
        2, "Error: mine.yaml, item 1: the first stage must be capture, got annotate\n",
    )  # fmt: skip


def lines(path: Path) -> int:
    """How many lines a file has so far; none while it is not there."""
    try:
        return path.read_text().count("\n")
    except FileNotFoundError:
        return 0


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_finishes_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "class Slow:\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            time.sleep(0.02)\n"
        "            yield frame\n"
    )
    (tmp_path / "slow.yaml").write_text("- capture\n- slow:Slow\n- write\n- record: {frames: true}\n")
    command = [sys.executable, "-m", "vidclf", "run", SAMPLE, "-p", "slow.yaml", "-o", "out.mp4"]
    command += ["--record", "out.jsonl", "--stats", "s.json"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and lines(tmp_path / "out.jsonl.part") <= 20:
        sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    ledger = json.loads((tmp_path / "s.json").read_text())["ledger"]
    assert 20 <= ledger["finished"] < 430
    assert err.endswith(f"interrupted: {ledger['finished']} of 430 frames\n")
    assert (tmp_path / "out.jsonl").read_text().count("\n") == ledger["finished"] + 1

    import av

    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == ledger["finished"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_run_that_waits_for_its_pipe(vidclf: Run, number: signal.Signals) -> None:
    os.mkfifo("fifo.ts")
    before = signal.getsignal(number)

    def ask() -> None:
        while signal.getsignal(number) is before:
            sleep(0.05)
        os.kill(os.getpid(), number)

    Thread(target=ask).start()
    code, _, err = vidclf("run", "fifo.ts", "-o", "out.mp4")
    assert code == 130
    assert err.startswith("stopping: finishing the frames in progress; press Ctrl-C again to abort\n")
    assert err.endswith("nothing was written to out.mp4\ninterrupted: 0 frames\n")
    assert names() == {"fifo.ts"}


def test_a_file_that_ends_early_is_told_in_one_line(vidclf: Run) -> None:
    video = Path(SAMPLE).read_bytes()
    # The sample's index stands first, so a file that is cut short still promises all its frames.
    Path("cut.mp4").write_bytes(video[: len(video) // 2])
    code, out, err = vidclf("run", "cut.mp4", "--stats", "-")
    ledger = json.loads(out)["ledger"]
    assert code == 0
    assert 100 < ledger["finished"] < 350
    assert f"warning: cut.mp4 ends early: its header says 430 frames, it has {ledger['finished']}\n" in err


def test_a_name_with_brackets_is_shown_as_it_is(vidclf: Run) -> None:
    Path("[red]a[b].mp4").write_bytes(Path(SAMPLE).read_bytes())
    code, _, err = vidclf("run", "[red]a[b].mp4", "-o", "[x].mp4", "--max-frames", 5)
    assert code == 0
    assert "[red]a[b].mp4: " in err
    assert "wrote [x].mp4\n" in err


@pytest.mark.skipif(sys.platform != "linux", reason="only there are file names bytes")
def test_a_name_that_is_not_utf_8_is_written_as_well_as_it_can_be(vidclf: Run) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    Path(name).write_bytes(Path(SAMPLE).read_bytes())
    for suffix in (".jsonl", ".csv", ".parquet"):
        code, _, err = vidclf("run", name, "--record", f"r{suffix}", "--stats", "s.json", "--max-frames", 40)
        assert code == 0, err
    assert json.loads(Path("s.json").read_text(encoding="utf-8"))["source"] == "caf\ufffd.mp4"
    assert '"source": "caf\ufffd.mp4"' in Path("r.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--record", "--stats"])
def test_json_is_right_on_a_stdout_that_has_not_every_letter(tmp_path: Path, option: str) -> None:
    (tmp_path / "für.mp4").write_bytes(Path(SAMPLE).read_bytes())
    command = [sys.executable, "-m", "vidclf", "run", "für.mp4", "--max-frames", "40", option, "-", "--quiet"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"source": "f\\u00fcr.mp4"' in done.stdout


def test_a_record_can_go_to_stdout(vidclf: Run) -> None:
    code, out, _ = vidclf("run", SAMPLE, "--max-frames", 60, "--record", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert rows[0]["schema"] == 1
    assert len(rows) > 10
    assert names() == set()
    assert "cannot share stdout" in vidclf("run", SAMPLE, "other.mp4", "--record", "-")[2]
