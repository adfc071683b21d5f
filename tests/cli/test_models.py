"""`vidclf models` says what the headers of the shipped weights say."""

from __future__ import annotations

import json

from click.testing import CliRunner

from vidclf.cli.models import describe, models
from vidclf.models import checkpoint
from vidclf.models.zoo import create
from vidclf.preprocess import Preprocess
from vidclf.resources import shipped


def test_every_shipped_file_is_listed_by_the_name_that_loads_it():
    result = CliRunner().invoke(models, ["--json", "-"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == sorted(p.stem for p in shipped("weights").glob("*.safetensors"))
    assert "lean" in [row["name"] for row in rows]
    for row in rows:
        model = checkpoint.load(row["name"])
        assert row["parameters"] == model.parameter_count
        assert row["labels"] == list(model.labels)


def test_the_table_shows_the_figures():
    row = describe(checkpoint.find("lean"))
    result = CliRunner().invoke(models, [])
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith("│ lean "))
    assert f"{row['parameters']:,}" in line
    assert f"{row['top1']:.2f} %" in line
    assert "28x28 grey" in line


def test_weights_that_were_never_tested_have_no_accuracy(tmp_path):
    path = checkpoint.save(tmp_path / "mine.safetensors", create("lean", ["a", "b"]))
    row = describe(path)
    assert (row["name"], row["labels"], row["top1"], row["ece"]) == ("mine", ["a", "b"], None, None)
    assert row["bytes"] == path.stat().st_size


def test_json_goes_to_a_file_beside_the_table(tmp_path):
    result = CliRunner().invoke(models, ["--json", str(tmp_path / "models.json")])
    assert result.exit_code == 0, result.output
    assert "│ lean " in result.stdout
    assert json.loads((tmp_path / "models.json").read_text())[0]["name"] == "lean"


def test_the_crop_is_told(tmp_path):
    path = checkpoint.save(tmp_path / "wide.safetensors", create("lean", ["a", "b"], Preprocess(size=32, channels=3)))
    row = describe(path)
    assert (row["size"], row["channels"]) == (32, 3)
