from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.clips import write_clip
from vidclf.bench.parts import _simple_cnn
from vidclf.bench.setting import _short
from vidclf.cli.bench import bench
from vidclf.errors import UsageError


def test_the_engine_is_measured() -> None:
    result = CliRunner().invoke(bench, ["engine", "--frames", "200", "--repeat", "3", "--json", "-"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert len(figures["us_per_frame"]) == 3
    assert figures["us_per_frame"] == sorted(figures["us_per_frame"])
    assert 0 < figures["median_us_per_frame"] == figures["us_per_frame"][1]
    assert figures["machine"]["cores"] >= 1


def test_figures_that_cannot_be_written_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.bench.engine.engine_cost", lambda *_: pytest.fail("it was measured"))
    result = CliRunner().invoke(bench, ["engine", "--json", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == f"{tmp_path} is a folder; name a file in it"


def test_it_says_it_in_words() -> None:
    result = CliRunner().invoke(bench, ["engine", "--frames", "200", "--stages", "2", "--repeat", "1"])
    assert "us per frame over 2 empty stages (median of 1" in result.stdout


def test_a_broker_in_the_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDCLF_PUBLISH", "mqtt://user:secret@127.0.0.1:1")
    clip, figures = write_clip(tmp_path / "in.mp4", frames=2, size=(64, 48)), tmp_path / "figures.json"
    words = [str(clip), "--repeat", "1", "--no-memory", "--no-others", "--codec", "mpeg4", "--json", str(figures)]
    result = CliRunner().invoke(bench, words, auto_envvar_prefix="VIDCLF")
    assert result.exit_code == 0, result.output
    assert "publish" not in figures.read_text()
    assert "secret" not in _short("mqtt://user:secret@127.0.0.1:1")


def test_the_start_is_measured_without_the_broker_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run that was measured sent events to it; this one would refuse the address."""
    monkeypatch.setenv("VIDCLF_PUBLISH", "nowhere://")
    clip, copy = write_clip(tmp_path / "in.mp4", frames=1), tmp_path / "copy.yaml"
    copy.write_text("- capture\n- write\n")
    result = CliRunner().invoke(bench, ["start", str(clip), "-p", str(copy), "--repeat", "1", "--json", "-"])
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["seconds"]) == ["vidclf --help", "first frame of copy"]


def test_a_clip_is_compared_with_the_serial_loop(tmp_path: Path) -> None:
    clip, figures = write_clip(tmp_path / "in.mp4", frames=6, size=(160, 120)), tmp_path / "figures.json"
    words = [str(clip), "--repeat", "2", "--no-memory", "--codec", "mpeg4", "--json", str(figures)]
    result = CliRunner().invoke(bench, words)
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["kind"] == "pipeline"
    assert found["frames"] == 6
    assert set(found["contenders"]) == {"vidclf", "decode and encode", "serial loop"}
    assert list(found["stages"]) == ["capture", "motion", "crop", "classify", "annotate", "write"]
    assert all(each["count"] == 6 for each in [*found["contenders"].values(), *found["stages"].values()])
    fps = {name: each["fps"]["median"] for name, each in found["contenders"].items()}
    ratio = found["ratios"]["serial loop"]
    assert ratio["min"] <= fps["vidclf"] / fps["serial loop"] <= ratio["max"] or ratio["min"] == ratio["max"]
    assert found["efficiency"]["wall_over_bound"]["min"] > 0
    assert "| serial loop |" in result.stdout
    assert {*tmp_path.iterdir()} == {clip, figures}


def test_the_classifier_is_measured_by_batch() -> None:
    result = CliRunner().invoke(bench, ["classifier", "--batch", "1", "--batch", "8", "--repeat", "1", "--json", "-"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found["crops_per_second"]) == {"1", "8", "simple-cnn in eager torch on cpu, batch 1"}
    assert all(each["median"] > 0 for each in found["crops_per_second"].values())


def test_a_batch_that_no_memory_could_hold_is_refused() -> None:
    result = CliRunner().invoke(bench, ["classifier", "--batch", "99999999999"])
    assert result.exit_code == 2
    assert "Invalid value for '--batch': 99999999999 is not in the range 1<=x<=65536." in result.stderr


def test_the_classifier_is_compared_with_a_network_on_the_same_device() -> None:
    """On a GPU, it was compared with one on the CPU."""
    work = _simple_cnn("meta")  # torch's device without data: whatever is computed there cannot be copied back
    with pytest.raises(NotImplementedError, match="meta tensor"):
        work()


@pytest.mark.parametrize(("by", "at"), [("cameras", [2]), ("objects", [0, 1, 4, 16, 64])])
def test_curves_are_measured(tmp_path: Path, by: str, at: list[int]) -> None:
    clip = write_clip(tmp_path / "in.mp4", frames=4)
    words = ["scaling", str(clip), "--by", by, "--cameras", "2", "--repeat", "1", "--json", "-"]
    result = CliRunner().invoke(bench, words)
    assert result.exit_code == 0, result.output
    (curve,) = json.loads(result.stdout)["curves"]
    assert [point["at"] for point in curve["points"]] == at
    assert all(point["median"] > 0 for point in curve["points"])


def test_every_number_of_cores_is_measured_repeatedly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = iter([30.0, 10.0, 20.0])
    monkeypatch.setattr("vidclf.bench.scaling.measure_alone", lambda *_: {"fps": next(speeds)})
    words = ["scaling", str(write_clip(tmp_path / "in.mp4", frames=1)), "--by", "cores", "--cores", "1"]
    result = CliRunner().invoke(bench, [*words, "--repeat", "3", "--json", "-"])
    assert result.exit_code == 0, result.output
    (curve,) = json.loads(result.stdout)["curves"]
    assert curve["points"] == [{"at": 1, "median": 20.0, "min": 10.0, "max": 30.0}]


def test_more_cores_than_there_are_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are were measured, and called by that number."""
    monkeypatch.setattr("vidclf.cli.bench.granted", lambda: 2)
    result = CliRunner().invoke(bench, ["scaling", "--by", "cores", "--cores", "2", "--cores", "3"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "--cores must be 1 to 2 on this machine, got 3"


def test_a_clip_that_is_not_there_is_told() -> None:
    result = CliRunner().invoke(bench, ["none.mp4"])
    assert str(result.exception) == "no such file: none.mp4"
