"""`vidclf models` says what the table of networks, the headers of the shipped weights and a clock say."""

from __future__ import annotations

import json

from click.testing import CliRunner

from vidclf.cli.models import describe, models, weights, weights_of
from vidclf.models import checkpoint
from vidclf.models.zoo import NETWORKS, create
from vidclf.preprocess import Preprocess


def test_every_network_is_listed_and_every_shipped_file_by_the_name_that_loads_it():
    result = CliRunner().invoke(models, ["--no-measure", "--json", "-"])
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert list(rows)[: len(NETWORKS)] == list(NETWORKS)
    assert {name for name, row in rows.items() if row["weights"]} == weights().keys() >= {"lean"}
    for name in weights():
        model = checkpoint.load(name)
        assert rows[name]["parameters"] == model.parameter_count
        assert rows[name]["weights"]["labels"] == list(model.labels)
        assert rows[name]["measured"] == checkpoint.read_header(name)["metrics"]["top1"]
    assert rows["v3"]["parameters"] == 30_076_234
    assert (rows["v3"]["published"], rows["v3"]["weights"], rows["v3"]["microseconds"]) == (94.55, None, None)


def test_the_table_shows_the_figures(monkeypatch):
    monkeypatch.setattr("vidclf.cli.models.NETWORKS", {name: NETWORKS[name] for name in ("v3", *weights())})
    row = describe("lean")
    result = CliRunner().invoke(models, ["--device", "cpu"])
    assert result.exit_code == 0, result.output
    cells = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    lean, v3 = cells["lean"], cells["v3"]
    assert lean[:3] == ["lean", f"{row['parameters']:,}", f"{row['macs'] / 1e6:.1f}"]
    alone, together = (int(cell.replace(",", "")) for cell in lean[3:5])
    assert 0 < together < alone
    assert lean[5:] == ["-", f"{row['measured']:.2f}", "%", f"{row['weights']['bytes'] / 1e6:.1f}", "MB"]
    assert v3[5:] == ["94.55", "%", "-", "-"]
    assert "measured now: torch in float32, cpu" in result.stdout


def test_it_fits_into_80_columns_uncut():
    lines = CliRunner().invoke(models, ["--no-measure"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert {line.split()[0] for line in lines if line.strip()} >= NETWORKS.keys()


def test_json_goes_to_a_file_beside_the_table(tmp_path):
    result = CliRunner().invoke(models, ["--no-measure", "--json", str(tmp_path / "models.json")])
    assert result.exit_code == 0, result.output
    assert "not measured" in result.stdout
    assert json.loads((tmp_path / "models.json").read_text())[0]["name"] == "lean"


def test_weights_that_were_never_tested_have_no_accuracy(tmp_path):
    path = checkpoint.save(tmp_path / "mine.safetensors", create("lean", ["a", "b"], Preprocess(size=32, channels=3)))
    row = weights_of(path)
    assert (row["file"], row["labels"], row["top1"], row["ece"]) == ("mine.safetensors", ["a", "b"], None, None)
    assert (row["size"], row["channels"], row["bytes"]) == (32, 3, path.stat().st_size)
