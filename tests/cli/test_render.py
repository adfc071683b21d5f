import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.clips import look
from tests.idx import write_bars
from vidclf.cli.render import render
from vidclf.cli.run import run
from vidclf.cli.score import score
from vidclf.errors import UsageError

SMALL = ["--seconds", "6.5", "--size", "320x180"]
TINY = ["--seconds", "3", "--size", "96x64"]


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(render, [str(word) for word in words], catch_exceptions=False)


def test_rendered_clips_run_and_score(tmp_path: Path) -> None:
    result = call("-o", tmp_path, *SMALL)
    assert result.exit_code == 0 and result.stdout == ""
    assert [line.partition("clip-")[2] for line in result.stderr.splitlines()] == ["000.mp4: 162 frames, 2 objects"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-000.mp4", "clip-000.truth.jsonl"]
    seen = look(tmp_path / "clip-000.mp4", numbered=False)
    assert seen.size == (320, 180) and seen.times == pytest.approx([n / 25 for n in range(162)])

    clip, truth, record = tmp_path / "clip-000.mp4", tmp_path / "clip-000.truth.jsonl", tmp_path / "found.jsonl"
    words = [str(clip), "--record", str(record), "--quiet", "--device", "cpu"]
    assert CliRunner().invoke(run, words, catch_exceptions=False).exit_code == 0
    figures = CliRunner().invoke(score, [str(record), str(truth), "--json", "-"], catch_exceptions=False)
    assert json.loads(figures.stdout)["detection_recall"] >= 0.9
    assert json.loads(figures.stdout)["detection_precision"] >= 0.8


def test_seed_and_number_decide_alone(tmp_path: Path) -> None:
    data = ["--data", write_bars(tmp_path / "bars"), "--no-verify", "--level", "street", *TINY]
    call("-o", tmp_path / "one", "--clips", "2", *data)
    call("-o", tmp_path / "two", "--clips", "1", *data)
    call("-o", tmp_path / "three", "--clips", "1", "--seed", "1", *data)
    for suffix in ("mp4", "truth.jsonl"):
        one, two, three = (tmp_path / name / f"clip-000.{suffix}" for name in ("one", "two", "three"))
        assert one.read_bytes() == two.read_bytes() != three.read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "clip-001.truth.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"clip-001\.truth\.jsonl exists; --force"):
        call("-o", tmp_path, "--clips", "2", *TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["clip-001.truth.jsonl"]


def test_an_interrupted_clip_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidclf.rendering.clip import Clip

    def fail(self: Clip, number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Clip, "draw", fail)
    call("-o", tmp_path, *TINY)
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "641x360"], "'641x360' is not a size: WIDTHxHEIGHT, even numbers from 64 to 4096"),
        (["--size", "big"], "'big' is not a size"),
        (["--level", "harder"], "'harder' is not one of 'easy', 'street', 'hard'"),
        (["--clips", "0"], "0 is not in the range"),
        (["--seconds", "1"], "1.0 is not in the range"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, words: list[str], message: str) -> None:
    result = call("-o", tmp_path, *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_data_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch is not a folder"):
        call("-o", tmp_path, "--data", tmp_path / "nosuch")


def test_a_length_that_is_no_number_is_refused_and_leaves_no_folder(tmp_path: Path) -> None:
    result = call("-o", tmp_path / "clips", "--seconds", "nan")
    assert result.exit_code == 2
    assert "Invalid value for '--seconds': nan is not a number" in result.stderr
    assert not list(tmp_path.iterdir())
