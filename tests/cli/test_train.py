import json
import os
import shutil
import signal
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

from tests.idx import write_bars
from tests.pictures import COLOURS, write_classes
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
from vidclf.resources import shipped

QUICK = ["--no-verify", "--epochs", "1", "--batch", "32", "--threads", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars"))


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("trained")
    words = ["--data", str(pictures), *QUICK, "--run", str(folder / "run"), "-o", str(folder / "mine.safetensors")]
    return folder, CliRunner().invoke(train, words, catch_exceptions=False)


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


def test_nothing_is_overwritten_unasked(trained: tuple[Path, Result], pictures: Path) -> None:
    folder, _ = trained
    before = (folder / "mine.safetensors").read_bytes()
    data = ["--data", str(pictures), *QUICK]
    ways = "continue it with --resume, start again with --force, or choose another folder with --run FOLDER"
    with pytest.raises(UsageError, match=f"run already contains a run: {ways}$"):
        CliRunner().invoke(train, [*data, "--run", str(folder / "run")], catch_exceptions=False)
    with pytest.raises(UsageError, match=r"mine\.safetensors already exists: overwrite it with --force"):
        CliRunner().invoke(
            train,
            [*data, "--run", str(folder / "new"), "-o", str(folder / "mine.safetensors")],
            catch_exceptions=False,
        )
    with pytest.raises(UsageError, match="checksum"):
        CliRunner().invoke(
            train,
            ["--data", str(pictures), "--run", str(folder / "run"), "--force", "-o", str(folder / "mine.safetensors")],
            catch_exceptions=False,
        )
    assert (folder / "mine.safetensors").read_bytes() == before
    assert (folder / "run" / "last.safetensors").exists()


def test_a_run_that_is_not_there_is_not_resumed_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        CliRunner().invoke(train, ["--resume", "--run", str(tmp_path / "none")], catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_refused_before_the_training(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    words = ["--data", str(pictures), *QUICK, "--run", str(tmp_path / "run"), "-o", str(tmp_path / "file" / "w")]
    with pytest.raises(UsageError, match=r"^cannot write .*file/w: "):
        CliRunner().invoke(train, words, catch_exceptions=False)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError, match=r"pipe is not an ordinary file$"):
            CliRunner().invoke(train, [*words[:-1], str(tmp_path / "pipe"), "--force"], catch_exceptions=False)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "pipe") == ["file"]


def refused(*words: str | Path) -> str:
    with pytest.raises(UsageError) as raised:
        CliRunner().invoke(train, [*QUICK, *map(str, words)], catch_exceptions=False)
    return str(raised.value)


def test_files_that_are_no_runs_are_not_replaced(pictures: Path, tmp_path: Path) -> None:
    for name in ("report.html", "config.json"):
        (tmp_path / name).write_text("{}")
    told = f"{tmp_path} is not the folder of a run, and a run would overwrite its config.json, report.html: "
    ways = "choose another with --run FOLDER, or overwrite with --force"
    assert refused("--data", pictures, "--run", tmp_path) == f"{told}{ways}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "report.html"]
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert refused("--data", pictures, "--run", tmp_path) == f"{told}{ways}"


def test_another_programs_files_for_tensorboard_are_not_removed(pictures: Path, tmp_path: Path) -> None:
    events = tmp_path / "tensorboard" / "train" / "events.out.tfevents.1.other"
    events.parent.mkdir(parents=True)
    events.write_text("theirs")
    told = f"a run would overwrite its {events.relative_to(tmp_path)}: choose another with --run FOLDER"
    assert told in refused("--data", pictures, "--run", tmp_path)
    assert events.read_text() == "theirs"


def test_a_resumed_run_replaces_its_own_weights_and_no_others(
    trained: tuple[Path, Result], pictures: Path, tmp_path: Path
) -> None:
    folder, _ = trained
    words = ["--data", pictures, "--run", folder / "run", "--resume"]
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"mine")
    told = f"{other} already exists, and this run did not write it: choose another with -o"
    assert refused(*words, "-o", other) == told
    other.write_bytes(shipped("weights").joinpath("lean-small.safetensors").read_bytes())
    assert refused(*words, "-o", other) == told
    again = [*QUICK, *map(str, [*words, "-o", folder / "mine.safetensors"])]
    assert CliRunner().invoke(train, again, catch_exceptions=False).exit_code == 0
    for name in ("last.safetensors", "best.safetensors"):
        kept = folder / "run" / name
        told = f"{kept} is a file of the run itself: choose another name for the weights"
        for how in ("--resume", "--force"):
            assert refused("--data", pictures, "--run", folder / "run", how, "-o", kept) == told


def test_settings_that_are_not_given_again_are_those_of_the_run(
    trained: tuple[Path, Result], pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained[0] / "run", tmp_path / "run")
    output = tmp_path / "again.safetensors"
    words = ["--data", pictures, "--no-verify", "--run", tmp_path / "run", "-o", output, "--resume"]
    assert CliRunner().invoke(train, list(map(str, words)), catch_exceptions=False).exit_code == 0
    for name in ("config", "command"):
        assert read_header(output)[name] == read_header(trained[0] / "mine.safetensors")[name]
    assert "was started with epochs=" in refused(*words, "--epochs", "77")
    assert "was started with " in refused(*words, "--recipe", "v1")  # its settings count as given
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"epochs": ', '"epochs": "many", "e": '))
    with pytest.raises(UsageError, match=r"the settings in its config\.json are damaged"):
        CliRunner().invoke(train, list(map(str, words)), catch_exceptions=False, standalone_mode=False)


def test_a_run_that_was_started_to_replace_a_file_is_resumed_without_a_word(
    trained: tuple[Path, Result], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--resume` refused the file, and `--resume --force` is refused, too."""
    output = tmp_path / "mine.safetensors"
    output.write_bytes(shipped("weights").joinpath("lean-small.safetensors").read_bytes())
    words = [*QUICK, *map(str, ["--data", pictures, "--run", tmp_path / "run", "-o", output])]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vidclf.training.loop.conclude", interrupt)
        assert CliRunner().invoke(train, [*words, "--force"]).exit_code == 130
    result = CliRunner().invoke(train, [*words, "--resume"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert read_header(output)["architecture"] == "lean"


def test_a_run_is_continued_or_started_again(trained: tuple[Path, Result]) -> None:
    """--resume --force continued it."""
    told = "--resume continues a run and --force starts it again: give only one of them"
    assert refused("--run", trained[0] / "run", "--resume", "--force") == told


def test_a_start_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(tmp_path / "crops", 1)
    monkeypatch.chdir(tmp_path / "crops")
    told = "would be among the class folders in .: choose another place with --run FOLDER"
    assert refused("--data", ".") == f"{Path('runs/lean-0')} {told}"
    assert "only one picture" in refused("--data", ".", "--run", "../runs/a", "-o", "../new/mine.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops"]
    assert sorted(path.name for path in Path().iterdir()) == sorted(COLOURS)


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


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_continue(
    ending: signal.Signals, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object, text: str) -> None:
        if text.startswith("epoch 1"):
            signal.raise_signal(ending)

    monkeypatch.setattr("vidclf.training.progress.Progress.live", interrupted)
    words = ["--data", str(pictures), *QUICK, "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(train, words, catch_exceptions=False)
    assert result.exit_code == 130
    assert "the same command with --resume continues" in result.stderr
    monkeypatch.undo()
    assert CliRunner().invoke(train, [*words, "--resume"], catch_exceptions=False).exit_code == 0


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


def test_a_run_does_not_replace_what_it_reads(trained: tuple[Path, Result], tmp_path: Path) -> None:
    """--force deleted the starting weights, if they were a link, or the weights that another run had made there."""
    folder = tmp_path / "run"
    best, output = folder / "best.safetensors", folder / "lean.safetensors"
    folder.mkdir()
    for path in (best, output):
        path.write_bytes((trained[0] / "mine.safetensors").read_bytes())
    (tmp_path / "link.safetensors").symlink_to(best)
    words: list[str | Path] = ["--run", folder, "--force"]
    for weights in (best, tmp_path / "link.safetensors"):
        assert refused(*words, "--from", weights) == f"{best} would overwrite the starting weights"
        assert refused(*words, "--distill", weights) == f"{best} would overwrite a teacher"
    assert refused(*words, "--from", output) == f"{output} would overwrite the starting weights"
    assert refused(*words, "--distill", best, "-o", best) == f"{best} would overwrite a teacher"
    names = tmp_path / "names"
    names.write_text("cat\ndog")
    told = f"{names} would overwrite the file of --labels"
    assert refused(*words, "--labels", names, "-o", names) == told
    assert names.read_text() == "cat\ndog"


def test_ctrl_c_before_a_run_began_promises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vidclf.training.data.load", interrupted)
    result = CliRunner().invoke(train, ["--run", str(tmp_path / "run"), "--device", "cpu"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (130, "\ninterrupted; nothing was started\n")
    # The run that --force is to replace is not this one.
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    words = ["--run", str(tmp_path / "run"), "--device", "cpu", "--force"]
    result = CliRunner().invoke(train, words, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (130, "\ninterrupted; nothing was started\n")


@pytest.mark.parametrize("command", [train, evaluate, export, import_weights, models, score, render, demo])
def test_a_hint_at_debug_is_no_lie(command: click.Command) -> None:
    assert "--debug" in CliRunner().invoke(command, ["--help"]).stdout


@pytest.mark.parametrize("command", [train, evaluate])
def test_help_has_an_example(command: object) -> None:
    result = CliRunner().invoke(command, ["--help"])  # type: ignore[arg-type]
    assert result.exit_code == 0
    assert "Examples:\n    vidclf " in result.stdout
