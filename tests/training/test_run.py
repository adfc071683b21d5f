import itertools
import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tests.idx import write_bars
from tests.runs import SMALL, Interrupt, run
from vidclf.errors import UsageError
from vidclf.models import create, save
from vidclf.models.checkpoint import read_header, write_tensors
from vidclf.training.config import Config
from vidclf.training.progress import Progress
from vidclf.training.run import Run, git_commit
from vidclf.training.run_files import check_output, check_target


def test_resuming_wants_the_same_settings_and_the_same_pictures(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        run(tmp_path / "run", pictures, resume=True)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", pictures, progress=Interrupt("epoch 2"))
    with pytest.raises(UsageError, match=r"started with lr=0\.05 \(now 0\.1\), seed=5 \(now 6\)"):
        run(tmp_path / "run", pictures, Config(**SMALL.to_dict() | {"lr": 0.1, "seed": 6}), resume=True)
    with pytest.raises(UsageError, match="started with other pictures"):
        run(tmp_path / "run", write_bars(tmp_path / "other", train=100), resume=True)
    (tmp_path / "moved").mkdir()
    for file in pictures.iterdir():
        shutil.copy(file, tmp_path / "moved")
    for file in write_bars(tmp_path / "newer", test=40).glob("t10k*"):
        shutil.copy(file, tmp_path / "moved")
    with pytest.raises(UsageError, match="started with other test pictures: resume it with the same --data"):
        run(tmp_path / "run", tmp_path / "moved", resume=True)
    last = tmp_path / "run" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.raises(UsageError, match=r"last\.safetensors: damaged"):
        run(tmp_path / "run", pictures, resume=True)


def test_resuming_wants_the_same_teachers(tmp_path: Path, pictures: Path) -> None:
    teacher = save(tmp_path / "teacher.safetensors", create("v1"))
    config = Config(**SMALL.to_dict() | {"model": "v1", "distill": (str(teacher),)})  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", pictures, config, progress=Interrupt("epoch 2"))
    save(teacher, create("v1"))
    with pytest.raises(UsageError, match="started with other teachers: resume it with the same --distill"):
        run(tmp_path / "run", pictures, config, resume=True)


def test_a_damaged_state_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    kept = Run(tmp_path, {}, {"data": "x"})
    kept.start()
    ours = {"a": torch.zeros(2), "b": torch.zeros(1)}
    history = [{"epoch": 1, "loss": 0.5, "valid_top1": 50.0}]
    state = {"epoch": 1, "seconds": 2.5, "best": 50.0, "history": history}

    def restore(tensors: dict[str, torch.Tensor], **fields: object) -> str:
        write_tensors(kept.files.last, tensors, fields)
        with pytest.raises(UsageError) as raised:
            kept.restore(ours)
        assert not ours["a"].any()
        return str(raised.value).removeprefix(f"{kept.files.last}: damaged (").removesuffix(")")

    theirs = {"a": torch.ones(2), "b": torch.ones(1)}
    assert restore(theirs).startswith("Expecting value")
    for wrong in ([], None, 5, state | {"more": 1}):
        assert restore(theirs, state=wrong) == "not the state of a run"
    for key, value in itertools.product(("epoch", "seconds", "best"), (None, "1", float("nan"), 10**400, [])):
        told = restore(theirs, state=state | {key: value})
        assert told in ("epoch, seconds or best is not the number of a run", "its history is not that of its epochs")
    for epoch in (-1, 0, 2, 2**63 - 1):
        assert restore(theirs, state=state | {"epoch": epoch}) == "its history is not that of its epochs"
    for rows in (None, 1, [1]):
        assert restore(theirs, state=state | {"history": rows}) == "its history is not a list of rows"
    assert restore(theirs, state=state | {"history": [{"epoch": 1, "loss": "x"}]}) == "its history is not of numbers"
    for tensors in (
        {"a": torch.ones(2)},
        theirs | {"b": torch.ones(2)},
        theirs | {"b": torch.ones(1, dtype=torch.int)},
    ):
        assert restore(tensors, state=state) == "its tensors are not those of the run, b for one"
    assert restore(theirs | {"c": torch.ones(1)}, state=state) == "its tensors are not those of the run, c for one"
    write_tensors(kept.files.last, theirs, {"state": state})
    assert asdict(kept.restore(ours)) == state
    assert ours["a"].all()


def test_runs_of_before_are_resumed(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, pictures, progress=Interrupt("epoch 2"))
    asked = json.loads((tmp_path / "config.json").read_text())
    names = ["settings", "data", "validation", "test", "classes", "start", "teachers", "command", "time_limit"]
    assert list(asked) == names
    assert asked["settings"].pop("start") == ""  # a setting that came later
    (tmp_path / "config.json").write_text(json.dumps({name: asked[name] for name in ("settings", "data")}))
    run(tmp_path, pictures, resume=True)
    assert check_output(tmp_path / "out.safetensors", tmp_path, resume=True)  # it is still this run's
    assert read_header(tmp_path / "out.safetensors")["data"] == asked["data"]


@pytest.mark.parametrize("resume", [False, True])
def test_two_trainings_in_one_folder_do_not_mix(tmp_path: Path, pictures: Path, resume: bool) -> None:
    """Both said that they were done, and the folder was of one half and of the other."""

    class Second(Progress):
        refused = ""

        def live(self, text: str) -> None:
            if text == "epoch 1, making crops":
                with pytest.raises(UsageError) as error:
                    run(tmp_path, pictures, replace(SMALL, seed=5 if resume else 6), resume=resume)
                self.refused = str(error.value)

    second = Second(quiet=True)
    run(tmp_path, pictures, progress=second)
    assert second.refused == f"{tmp_path}: another training is running there: choose another with --run FOLDER"
    run(tmp_path, pictures, resume=True, replace=True)  # when it is over, it may be continued


def test_a_run_that_came_and_went_in_the_meantime_is_kept(tmp_path: Path, pictures: Path) -> None:
    """Only the command line asked, before it read the pictures: the finished run of another process was deleted."""
    run(tmp_path, pictures)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(UsageError, match="already contains a run: continue it with --resume, start again with --force"):
        run(tmp_path, pictures, replace(SMALL, seed=6))
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_new_time_limit_is_also_that_of_the_next_time(tmp_path: Path) -> None:
    """Only the run that was given it knew it: the one after had the first limit again."""
    first = Run(tmp_path, {}, {"data": "x"}, "sha", "vidclf train", time_limit=60.0)
    first.start()
    before = json.loads((tmp_path / "config.json").read_text())
    for limit in (90.0, None):
        with Run(tmp_path, {}, {"data": "x"}, time_limit=limit) as again:
            first._lock.release()
            again.restore({})
        assert again.time_limit == 90.0
    assert json.loads((tmp_path / "config.json").read_text()) == before | {
        "settings": Config(optimizer="sgd").to_dict(),
        "time_limit": 90.0,
    }


@pytest.mark.parametrize(("name", "value"), [("command", 5), ("time_limit", "x")])
def test_a_damaged_config_is_refused(tmp_path: Path, name: str, value: object) -> None:
    """It was a TypeError, or an error about the header after all the training."""
    with Run(tmp_path, {}, {"data": "x"}) as damaged:
        damaged.start()
        config = json.loads(damaged.files.config.read_text())
        damaged.files.config.write_text(json.dumps(config | {name: value}))
        with pytest.raises(UsageError) as raised:
            damaged.restore({})
    assert str(raised.value) == f"{tmp_path}: the settings in its config.json are damaged"


def test_kept_weights_of_no_epoch_are_refused(tmp_path: Path, pictures: Path) -> None:
    """It was a KeyError."""
    run(tmp_path, pictures)
    best = save(tmp_path / "best.safetensors", create("lean"))
    with pytest.raises(UsageError) as raised:
        run(tmp_path, pictures, resume=True, replace=True)
    assert str(raised.value) == f"{best}: damaged (its header has no epoch)"


def test_a_new_run_does_not_continue_an_old_one(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path, pictures)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, pictures, force=True, progress=Interrupt("epoch 1"))
    assert not (tmp_path / "last.safetensors").exists()


def test_a_drive_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a StopIteration."""
    monkeypatch.setattr(Path, "exists", lambda *_, **__: False)
    with pytest.raises(UsageError) as raised:
        check_target(tmp_path / "mine")
    assert str(raised.value) == f"cannot write {tmp_path / 'mine'}: {tmp_path.anchor} does not exist"


@pytest.mark.parametrize("name", ["runs", "runs/a", "runs/a/tensorboard", "runs/a/tensorboard/train", "runs/b/../a"])
def test_weights_do_not_take_the_place_of_a_folder_of_the_run(tmp_path: Path, name: str) -> None:
    """That failed after the whole training."""
    with pytest.raises(UsageError) as raised:
        check_output(tmp_path / name, tmp_path / "runs" / "a")
    told = "is a place for the run's own files: choose another name for the weights"
    assert str(raised.value) == f"{tmp_path / name} {told}"


def test_a_commit_is_that_of_the_code_not_of_what_it_is_installed_in(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "run.py").write_text("")
    (tmp_path / "own.py").write_text("")
    subprocess.run([*git, "add", "own.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "own"], check=True)
    assert git_commit(tmp_path / "run.py") is None
    assert len(git_commit(tmp_path / "own.py") or "") == 40
