"""`vidclf train` and the folder of a run: what is kept, replaced, refused and resumed."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import QUICK, refused
from tests.pictures import COLOURS, write_classes
from vidclf.cli.train import train
from vidclf.errors import UsageError
from vidclf.models.checkpoint import read_header
from vidclf.resources import shipped


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


@pytest.mark.parametrize("damage", [{"start": 5}, {"distill": 5}, {"distill": [5]}, {"labels": [5]}])
def test_settings_of_a_wrong_kind_are_refused(
    trained: tuple[Path, Result], pictures: Path, tmp_path: Path, damage: dict[str, object]
) -> None:
    """It was a TypeError, wherever they were used."""
    shutil.copytree(trained[0] / "run", tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    asked = json.loads(config.read_text())
    config.write_text(json.dumps(asked | {"settings": asked["settings"] | damage}))
    told = f"{tmp_path / 'run'}: the settings in its config.json are damaged"
    assert refused("--data", pictures, "--run", tmp_path / "run", "--resume") == told


def test_weights_that_appear_while_the_libraries_are_loaded_are_not_replaced(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that appeared later were kept."""
    output = tmp_path / "mine.safetensors"

    def choose_device(_: str) -> str:
        output.write_text("theirs")
        return "cpu"

    monkeypatch.setattr("vidclf.models.device.choose_device", choose_device)
    told = f"{output} has appeared during the training: choose another with --resume -o FILE"
    assert refused("--data", pictures, "--model", "v1", "--run", tmp_path / "run", "-o", output) == told
    assert output.read_text() == "theirs"


def test_weights_are_not_called_as_the_folder_of_the_run(pictures: Path, tmp_path: Path) -> None:
    """They failed after the whole training."""
    told = f"{tmp_path / 'a'} is a place for the run's own files: choose another name for the weights"
    assert refused("--data", pictures, "--run", tmp_path / "a", "-o", tmp_path / "a") == told
    assert not list(tmp_path.iterdir())


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
