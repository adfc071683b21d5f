"""`vidclf train`: its options and its weights; `test_train_runs.py` has the folders of runs."""

import json
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

from tests.cli.conftest import QUICK, refused
from tests.pictures import write_classes
from vidclf.cli.demo import demo
from vidclf.cli.evaluate import evaluate
from vidclf.cli.export import export
from vidclf.cli.import_weights import import_weights
from vidclf.cli.models import models
from vidclf.cli.render import render
from vidclf.cli.score import score
from vidclf.cli.train import train
from vidclf.errors import UsageError
from vidclf.models import create, save
from vidclf.models.checkpoint import read_header
from vidclf.preprocess import Preprocess


def test_train_writes_weights_and_keeps_stdout_clean(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "epoch 1/1" in result.stderr and "of 50 correct" in result.stderr
    header = read_header(folder / "mine.safetensors")
    assert header["command"] == "vidclf train --data FOLDER --threads 1 --no-verify --epochs 1 --batch 32"
    assert str(folder) not in json.dumps(header)
    assert sorted(p.name for p in (folder / "run").iterdir()) == [
        "best.safetensors",
        "config.json",
        "last.safetensors",
        "metrics.jsonl",
        "report.html",
        "tensorboard",
    ]


def test_idx_files_of_other_classes_are_called_as_a_file_says(pictures: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"row {i}" for i in range(10)))
    run = ["--data", str(pictures), *QUICK, "--run", str(tmp_path / "run")]
    words = [*run, "--labels", str(names)]
    assert CliRunner().invoke(train, words, catch_exceptions=False).exit_code == 0
    header = read_header(tmp_path / "run" / "lean.safetensors")
    assert header["labels"] == [f"row {i}" for i in range(10)]
    assert "--labels FILE" in header["command"]
    names.write_text("\n".join(f"column {i}" for i in range(10)))
    with pytest.raises(UsageError, match="labels="):  # another name is another run
        CliRunner().invoke(train, [*words, "--resume"], catch_exceptions=False, standalone_mode=False)
    names.write_text("one\ntwo")
    with pytest.raises(UsageError, match=r"classes must be 0 to 1, got 0 to 9; the names are for 2 classes: one, two$"):
        CliRunner().invoke(train, [*words, "--force"], catch_exceptions=False, standalone_mode=False)
    assert refused("--labels", tmp_path / "none.txt") == f"{tmp_path / 'none.txt'}: No such file or directory"


def test_eval_gives_the_figures_training_ended_with(trained: tuple[Path, Result], pictures: Path) -> None:
    weights = trained[0] / "mine.safetensors"
    words = [str(weights), "--data", str(pictures), "--no-verify", "--device", "cpu"]
    result = CliRunner().invoke(evaluate, [*words, "--json", "-"], catch_exceptions=False)
    figures = json.loads(result.stdout)
    assert list(figures) == ["weights", "parameters", "runs_on", "correct", "total", "top1", "top5", "ece", "per_class"]
    assert figures["weights"] == str(weights)
    assert figures["parameters"] == read_header(weights)["parameters"]
    assert {k: figures[k] for k in ("correct", "total", "top1", "top5", "ece")} == read_header(weights)["metrics"]
    assert set(figures["per_class"]["Bag"]) == {"precision", "recall", "f1"}

    file = trained[0] / "figures.json"
    result = CliRunner().invoke(evaluate, [*words, "--json", str(file)], catch_exceptions=False)
    assert json.loads(file.read_text()) == figures
    assert f"{figures['correct']} of 50 correct" in result.stdout and "Ankle boot" in result.stdout


@pytest.mark.parametrize("command", [train, evaluate])
def test_a_wrong_folder_of_pictures_is_told_first(command: click.Command, trained: tuple[Path, Result]) -> None:
    words = {"train": ["--run", str(trained[0] / "run")], "eval": ["lean"]}[command.name or ""]
    with pytest.raises(UsageError) as raised:
        CliRunner().invoke(command, [*words, "--data", "nodir"], catch_exceptions=False)
    told = "leave --data out to download Fashion-MNIST, or name a folder with its four .gz files"
    assert str(raised.value) == f"nodir: no such folder; {told}"


def test_weights_are_not_called_as_exported_ones_are(pictures: Path, tmp_path: Path) -> None:
    words = ["--data", str(pictures), *QUICK, "--run", str(tmp_path / "run"), "-o", str(tmp_path / "mine.pt")]
    said = r"mine\.pt: \.pt is for exported classifiers \(vidclf export\); use NAME\.safetensors$"
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(train, words, catch_exceptions=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "0 is not in the range 1<=x<=10000"),
        (["--lr", "-1"], "-1.0 is not in the range"),
        (["--model", "vgg"], "'vgg' is not one of 'lean'"),
        (["--time-limit", "soon"], "'soon' is not a duration; use 90s, 20m or 1h30m"),
        (["--time-limit", "0m"], "'0m' is too short: at least 1s"),
        (["--threads", "0"], "0 is not in the range"),
    ],
)
def test_wrong_options_are_refused(words: list[str], message: str) -> None:
    result = CliRunner().invoke(train, words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def settings(folder: Path, pictures: Path, *words: str) -> tuple[dict[str, object], str]:
    """What a run was asked for in the end, and what was said."""
    command = ["--data", str(pictures), "--model", "v1", *QUICK, "--run", str(folder), *words]
    result = CliRunner().invoke(train, command, catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads((folder / "config.json").read_text())["settings"], result.stderr


def test_options_that_do_nothing_are_told(pictures: Path, tmp_path: Path) -> None:
    asked, said = settings(tmp_path, pictures, "--gamma", "0.5", "--optimizer", "adamw", "--momentum", "0.8")
    assert said.splitlines()[:2] == [
        "gamma has no effect here: it is for schedule milestone",
        "momentum has no effect here: it is for optimizers muon and sgd",
    ]
    assert asked["lr"] == 0.003  # adamw's own


def test_options_that_do_nothing_are_told_even_if_progress_is_not_wanted(pictures: Path, tmp_path: Path) -> None:
    """--quiet hid that, too."""
    _, said = settings(tmp_path, pictures, "--gamma", "0.5", "--quiet")
    assert said == "gamma has no effect here: it is for schedule milestone\n"


@pytest.mark.parametrize(("given", "written"), [("2000000s", "2000000s"), ("1h30m", "5400s"), ("90.5", "90.5s")])
def test_a_recorded_time_limit_can_be_given_again(pictures: Path, tmp_path: Path, given: str, written: str) -> None:
    """Long ones were rounded to something that is refused: 2e+06s."""
    settings(tmp_path, pictures, "--time-limit", given)
    assert f"--time-limit {written} " in json.loads((tmp_path / "config.json").read_text())["command"]


def test_a_folder_of_pictures_that_validate_leaves_no_share_to_choose(tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    for part in ("train", "valid"):
        write_classes(crops / part, 3)
    _, said = settings(tmp_path / "run", crops, "--validation", "0.2")
    assert said.splitlines()[0] == "validation has no effect here: it is for data without a folder valid"


def test_options_that_do_less_than_they_say_are_told(
    trained: tuple[Path, Result], pictures: Path, tmp_path: Path
) -> None:
    words = ["--milestone", "1", "--milestone", "9", "--schedule", "milestone"]
    _, said = settings(tmp_path / "late", pictures, *words)
    assert said.splitlines()[0] == "milestones 1, 9 have no effect here: the run has 1 epochs"
    words = ["--class-weights", "--distill", str(trained[0] / "mine.safetensors")]
    _, said = settings(tmp_path / "taught", pictures, *words)
    told = "class_weights affects only 10 % of the loss here: the labels, not the teachers' outputs"
    assert said.splitlines()[0] == told


def test_without_a_number_training_uses_the_cores_that_it_may(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDCLF_THREADS", "3")
    words = ["--data", str(pictures), "--no-verify", "--model", "v1", "--epochs", "1", "--device", "cpu"]
    result = CliRunner().invoke(train, [*words, "--run", str(tmp_path / "run")], catch_exceptions=False)
    assert ", 3 threads\n" in result.stderr


def test_an_option_wins_over_a_recipe_and_over_the_rate_of_adamw(pictures: Path, tmp_path: Path) -> None:
    asked, said = settings(tmp_path / "a", pictures, "--recipe", "v2-b", "--optimizer", "adamw", "--lr", "0.01")
    assert (asked["model"], asked["lr"], asked["schedule"]) == ("v1", 0.01, "milestone")
    assert "has no effect" not in said
    asked, _ = settings(tmp_path / "b", pictures, "--recipe", "v2-b", "--optimizer", "adamw")
    assert (asked["lr"], asked["weight_decay"]) == (0.003, 0.0005)
    asked, _ = settings(tmp_path / "c", pictures, "--recipe", "v2-b", "--optimizer", "sgd")  # the recipe's own
    assert (asked["lr"], asked["momentum"], asked["weight_decay"]) == (0.025, 0.9, 0.0)
    asked, _ = settings(tmp_path / "d", pictures, "--optimizer", "sgd", "--momentum", "0.5")
    assert (asked["lr"], asked["momentum"], asked["weight_decay"]) == (0.15, 0.5, 0.0005)


def test_training_goes_on_from_a_checkpoint(trained: tuple[Path, Result], tmp_path: Path) -> None:
    crops = write_classes(tmp_path / "crops")
    words = [
        "--data",
        str(crops),
        *QUICK,
        "--run",
        str(tmp_path / "run"),
        "--from",
        str(trained[0] / "mine.safetensors"),
    ]
    result = CliRunner().invoke(train, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "mine.safetensors, but with a fresh last layer, because it has other classes: 10 classes:" in result.stderr
    header, before = read_header(tmp_path / "run" / "lean.safetensors"), read_header(trained[0] / "mine.safetensors")
    assert "--from mine.safetensors" in header["command"]
    assert (header["mean"], header["std"]) == (before["mean"], before["std"])
    assert header["config"]["lr"] == 0.001  # a tenth of what a fresh network starts with
    words[-1] = "lean"
    with pytest.raises(UsageError, match=r"start=.*mine\.safetensors \(now lean\): resume it with the same options$"):
        CliRunner().invoke(train, [*words, "--resume"], catch_exceptions=False)


def test_options_win_over_what_follows_from_a_checkpoint(tmp_path: Path) -> None:
    weights = str(save(tmp_path / "small.safetensors", create("v1", preprocess=Preprocess(size=32, channels=3))))
    crops = write_classes(tmp_path / "crops")
    told = f"weights {weights} take crops of size 32 and channels 3, not size 28 and channels 3"
    assert refused("--data", crops, "--run", tmp_path / "run", "--from", weights, "--size", "28") == told
    told = f"weights {weights} are for model v1, not v2"
    assert refused("--data", crops, "--run", tmp_path / "run", "--from", weights, "--model", "v2") == told
    assert refused("--data", crops, "--run", tmp_path / "run", "--from", weights, "--recipe", "v2-b") == told
    words = ["--from", weights, "--recipe", "v1", "--normalise", "none", "--init", "own"]
    asked, said = settings(tmp_path / "a", crops, *words)
    assert said.startswith("init has no effect here: it is for fresh weights\n")
    assert (asked["size"], asked["channels"], asked["normalise"], asked["lr"]) == (32, 3, "none", 0.005)
    asked, _ = settings(tmp_path / "b", crops, "--from", weights, "--optimizer", "adamw")
    assert (asked["normalise"], asked["lr"]) == ("start", 0.0003)
    asked, _ = settings(tmp_path / "c", crops, "--from", weights, "--lr", "0.05")
    assert asked["lr"] == 0.05


def test_weights_to_begin_with_that_are_none_are_told(trained: tuple[Path, Result], tmp_path: Path) -> None:
    words = ["--run", tmp_path / "run", "--from"]
    assert refused(*words, "leen").startswith("weights 'leen' not found: no such file or shipped weights (")
    assert refused(*words, "").startswith("weights '' is a folder, not a file of weights (")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    assert refused(*words, tmp_path / "foreign.pth").startswith(f"{tmp_path / 'foreign.pth'}: not a safetensors file")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "foreign.pt")
    told = f"{tmp_path / 'foreign.pt'}: no vidclf header (export it with vidclf export)"
    assert refused(*words, tmp_path / "foreign.pt") == told
    exported = tmp_path / "mine.torchscript"
    weights = str(trained[0] / "mine.safetensors")
    command = [weights, "--format", "torchscript", "-o", str(exported)]
    assert CliRunner().invoke(export, command, catch_exceptions=False).exit_code == 0
    told = f"{exported}: an exported classifier can only be run (run --weights); use the .safetensors file here"
    assert refused(*words, exported) == told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [train, evaluate, export, import_weights, models, score, render, demo])
def test_a_hint_at_debug_is_no_lie(command: click.Command) -> None:
    assert "--debug" in CliRunner().invoke(command, ["--help"]).stdout


@pytest.mark.parametrize("command", [train, evaluate])
def test_help_has_an_example(command: object) -> None:
    result = CliRunner().invoke(command, ["--help"])  # type: ignore[arg-type]
    assert result.exit_code == 0
    assert "Examples:\n    vidclf " in result.stdout
