from __future__ import annotations

import json

from click.testing import CliRunner

from vidclf.cli.bench import bench


def test_the_engine_is_measured() -> None:
    result = CliRunner().invoke(bench, ["engine", "--frames", "200", "--repeat", "3", "--json", "-"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert len(figures["us_per_frame"]) == 3
    assert figures["us_per_frame"] == sorted(figures["us_per_frame"])
    assert 0 < figures["median_us_per_frame"] == figures["us_per_frame"][1]


def test_it_says_it_in_words() -> None:
    result = CliRunner().invoke(bench, ["engine", "--frames", "200", "--stages", "2", "--repeat", "1"])
    assert "us a frame over 2 empty stages (median of 1" in result.stdout
