"""`vidclf` before any command: what it says to nothing, and to what is no command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidclf.cli.main import COMMANDS, explained, main
from vidclf.errors import UsageError
from vidclf.resources import shipped

SAMPLE = str(shipped("samples") / "wardrobe.mp4")


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said on stderr."""
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0), capsys.readouterr().err


def test_alone_it_helps_rather_than_complains(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = say(capsys)
    assert code == 2
    assert said.startswith("Usage: vidclf")
    assert all(f"\n  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize(("typed", "meant"), [("rn", "run"), ("exprt", "export"), ("stage", "stages")])
def test_a_mistyped_command_is_told_what_was_meant(capsys: pytest.CaptureFixture[str], typed: str, meant: str) -> None:
    code, said = say(capsys, typed)
    assert (code, said.count("\n")) == (2, 1)
    assert f"No such command '{typed}'" in said
    assert f"'{meant}'" in said


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["run", SAMPLE, "-o", ""], "'-o' / '--output'"),
        (["run", SAMPLE, "--record", ""], "'--record'"),
        (["run", SAMPLE, "--stats", ""], "'--stats'"),
        (["run", SAMPLE, "--trace", ""], "'--trace'"),
        (["batch", ".", "-o", ""], "'-o' / '--output'"),
        (["batch", "", "-o", "out"], "'FOLDER'"),
        (["demo", "-o", ""], "'-o' / '--output'"),
        (["render", "-o", ""], "'-o' / '--output'"),
        (["render", "-o", "out", "--data", ""], "'--data'"),
        (["score", "", "truth.jsonl"], "'RECORD'"),
        (["eval", "lean", "--html", ""], "'--html'"),
        (["export", "lean", "--format", "onnx", "-o", ""], "'-o' / '--output'"),
        (["bench", ""], "'[CLIP]'"),
        (["models", "--json", ""], "'--json'"),
    ],
)
def test_a_path_that_is_empty_is_not_the_current_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], option: str
) -> None:
    """With a variable of the shell that was not set, the current folder was filled, or an option ignored."""
    monkeypatch.chdir(tmp_path)
    code, said = say(capsys, *words)
    assert (code, said.count("\n")) == (2, 1)
    assert f"Invalid value for {option}: the name is empty (see vidclf " in said
    assert not list(tmp_path.iterdir())


def test_a_stdout_that_is_closed_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `vidclf ... >&-`, where Python has none; before the run, not after it."""
    monkeypatch.setattr(sys, "stdout", None)
    assert say(capsys, "run", "nosuch.mp4", "--stats", "-") == (1, "Error: cannot write to stdout: it is closed\n")
    assert say(capsys, "run", "nosuch.mp4", "--record", "-") == (
        1, "Error: --record: record: cannot write to stdout: it is closed\n",
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize(("gone", "said"), [(True, ""), (False, "Error: cannot write to stdout: File too large\n")])
def test_a_stdout_that_takes_nothing_is_told_once(tmp_path: Path, gone: bool, said: str) -> None:
    """It is full; or nobody reads it any more, which is no mistake. Python neither adds lines nor exits with 120."""
    import resource

    truth = shipped("samples") / "wardrobe.truth.jsonl"
    (tmp_path / "record.jsonl").write_text('{"schema": 1}\n')
    reader, writer = os.pipe()
    os.close(reader)
    with (tmp_path / "full").open("wb") as full, os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "vidclf", "score", str(tmp_path / "record.jsonl"), str(truth), "--json", "-"],
            stdout=pipe if gone else full,
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
            check=False,
        )
    hint = "none of the true boxes was found: do record.jsonl and wardrobe.truth.jsonl belong together?\n"
    assert (done.returncode, done.stderr) == (1, hint + said)


@pytest.mark.parametrize("start", [["-m", "vidclf"], ["-c", "from vidclf.cli.main import main; main()"]])
def test_ctrl_c_while_python_still_imports_is_no_traceback(tmp_path: Path, start: list[str]) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *start, "--help"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


LONG = "x" * 300


@pytest.mark.parametrize(
    "line",
    [
        f"run {LONG} -o out.mp4",
        f"run {SAMPLE} -p {LONG}",
        f"run {SAMPLE} -o {LONG}.mp4",
        f"run {SAMPLE} --record {LONG}.jsonl",
        f"run {SAMPLE} --stats {LONG}",
        f"run {SAMPLE} --weights {LONG}",
        f"eval {LONG}",
        f"eval lean --data {LONG}",
        f"eval lean --html {LONG}",
        f"score {LONG}.jsonl {LONG}.jsonl",
        f"export {LONG} --format onnx",
        f"export lean --format onnx -o {LONG}.onnx",
        f"import {LONG} -o x.safetensors",
        f"import x.pkl -o {LONG}",
        f"bench {LONG}",
        f"bench classifier --weights {LONG}",
        f"render -o {LONG}",
        f"render -o out --data {LONG}",
        f"train --data {LONG}",
        f"train --data {Path(SAMPLE).parent} --run {LONG}",
        f"train --data {Path(SAMPLE).parent} -o {LONG}.safetensors",
        f"train --data {Path(SAMPLE).parent} --distill {LONG}",
        f"train --data {Path(SAMPLE).parent} --from {LONG}",
    ],
    ids=lambda line: line.replace(LONG, "LONG").replace(SAMPLE, "SAMPLE")[:40],
)
def test_a_name_that_is_too_long_is_a_mistake_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = say(capsys, *line.split())
    assert (code, said.count("\n"), "debug" in said) == (2, 1, False), said
    assert not list(tmp_path.rglob("*"))


def test_the_middle_of_such_a_name_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert say(capsys, "eval", LONG) == (2, "Error: the file name 'xxxxxxxxxxxx...xxxxxxxxxxxxx' is too long\n")


def test_a_place_that_may_not_be_entered_is_wrong_usage() -> None:
    """It was an error without a name, with exit code 1 and a hint at --debug."""
    error = PermissionError(errno.EACCES, "Permission denied", "theirs/file")
    found = explained(error)
    assert (type(found), str(found)) == (UsageError, "theirs/file: Permission denied")
    error.add_note("stage write, frame 7")  # which the message must not lose
    assert explained(error) is error
