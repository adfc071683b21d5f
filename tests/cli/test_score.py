import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vidclf.cli.score import score
from vidclf.errors import UsageError

BOX = {"x0": 10, "y0": 20, "x1": 30, "y1": 60}
KEYS = {
    *("detection_recall", "detection_precision", "box_accuracy", "object_accuracy", "abstained"),
    *("label_changes_per_minute", "ece", "objects", "boxes"),
}


@pytest.fixture
def files(tmp_path):
    """A record of two sources and the truth about one: a coat on four frames, found on three, once as a shirt."""
    labels = ["Coat", "Shirt", "Coat"]
    rows = [{"source": "x/clip.mp4", "frame": n, **BOX, "label": t, "label_score": 0.9} for n, t in enumerate(labels)]
    rows.append({"source": "other.mp4", "frame": 0, **BOX, "label": "Coat", "label_score": 0.9})
    truth = [{"frame": n, "time": n / 2, "object": 0, **BOX, "label": "Coat"} for n in range(4)]
    record_file, truth_file = tmp_path / "record.jsonl", tmp_path / "clip.truth.jsonl"
    record_file.write_text("\n".join(map(json.dumps, [{"schema": 1}, *rows])) + "\n")
    truth_file.write_text("\n".join(map(json.dumps, truth)) + "\n")
    return str(record_file), str(truth_file)


def run(*arguments):
    return CliRunner().invoke(score, [*arguments])


def test_json_on_stdout_is_nothing_but_json(files):
    result = run(*files, "--json", "-")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert set(figures) == KEYS
    assert figures["detection_recall"] == 0.75
    assert figures["detection_precision"] == 1
    assert figures["box_accuracy"] == 0.666667
    assert figures["object_accuracy"] == 1
    assert figures["label_changes_per_minute"] == 80  # two changes in 1.5 s
    assert (figures["objects"], figures["boxes"]) == (1, 4)


def test_the_table_is_for_people(files):
    result = run(*files)
    assert result.exit_code == 0, result.output
    lines = {" ".join(line.strip(" │|").split()) for line in result.stdout.splitlines()}
    assert "record.jsonl against clip.truth.jsonl, IoU >= 0.5" in lines
    for words in ("detection recall │ 75.0 % │ of", "label changes │ 80.0 │ per minute", "boxes │ 4 │ in the truth"):
        assert any(line.startswith(words) for line in lines), result.stdout


def test_a_file_gets_the_same_figures_and_the_table_stays(files, tmp_path):
    result = run(*files, "--json", str(tmp_path / "score.json"))
    assert "detection recall" in result.stdout
    assert json.loads((tmp_path / "score.json").read_text()) == json.loads(run(*files, "--json", "-").stdout)


def test_source_and_iou(files):
    figures = json.loads(run(*files, "--source", "other.mp4", "--iou", "0.9", "--json", "-").stdout)
    assert figures["detection_recall"] == 0.25


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            ["--source", "third.mp4"],
            "the record has no source 'third.mp4'; --source takes one of: x/clip.mp4, other.mp4",
        ),
        (["--iou", "2"], "iou must be above 0 and at most 1, got 2.0"),
    ],
)
def test_wrong_usage(files, extra, message):
    result = run(*files, *extra)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == message


def test_swapped_files_are_told_apart(files):
    result = run(*files[::-1])
    assert isinstance(result.exception, UsageError)
    assert "is not a record: row 1 has no source, label_score" in str(result.exception)


def test_figures_that_cannot_be_written(files, tmp_path):
    result = run(*files, "--json", str(tmp_path))
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == f"{tmp_path} is a folder; name a file in it"


def test_help_has_an_example():
    assert "vidclf score wardrobe.jsonl wardrobe.truth.jsonl" in run("--help").stdout


def test_a_record_of_another_clip_gets_a_hint(files, tmp_path):
    other = tmp_path / "other.truth.jsonl"
    other.write_text(json.dumps({"frame": 900, "time": 9.0, "object": 0, **BOX, "label": "Coat"}) + "\n")
    result = run(files[0], str(other))
    assert result.exit_code == 0
    assert "do record.jsonl and other.truth.jsonl belong together?" in result.stderr
    assert not run(*files).stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names are text")
def test_names_that_are_not_utf_8_cost_no_table(files, tmp_path):
    record = Path(files[0]).rename(tmp_path / "\udcff.jsonl")
    result = run(str(record), files[1])
    assert result.exit_code == 0, result.exception
    assert "?.jsonl against clip.truth.jsonl" in result.stdout
