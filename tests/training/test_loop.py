import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.runs import SMALL, Interrupt, run
from vidclf.errors import UsageError, VidclfError
from vidclf.models import load
from vidclf.models.checkpoint import read_header
from vidclf.training import data
from vidclf.training.board import Board
from vidclf.training.config import Config
from vidclf.training.progress import Progress


def test_it_learns_and_leaves_a_complete_checkpoint(tmp_path: Path, pictures: Path) -> None:
    metrics = run(tmp_path, pictures, Config(epochs=8, batch=20, lr=0.05, ema=0.9, validation=0.1, shift=0, erase=0.0))
    assert metrics["top1"] >= 80
    header = read_header(tmp_path / "out.safetensors")
    assert header["metrics"]["correct"] == metrics["correct"]
    assert header["config"]["batch"] == 20
    assert header["data"] == data.load(pictures, "train", load(tmp_path / "out.safetensors").preprocess, False).digest()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("at", ["epoch 1, step 2 ", "epoch 2, step 1 ", "epoch 3, step 5 "])
def test_interrupted_and_resumed_is_undisturbed_bit_for_bit(tmp_path: Path, pictures: Path, at: str) -> None:
    whole = run(tmp_path / "whole", pictures)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", pictures, progress=Interrupt(at))
    torch.rand(7)  # whatever chance did in between
    assert run(tmp_path / "broken", pictures, resume=True) == whole
    for name in ("out.safetensors", "last.safetensors"):
        one, other = load_file(tmp_path / "whole" / name), load_file(tmp_path / "broken" / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "lr": 0.003, "schedule": "one-cycle", "mixup": 0.5, "class_weights": True},
        {"optimizer": "sgd", "lr": 0.1, "cutmix": 1.0, "views": 2, "ema": 0.0, "label_smoothing": 0.1},
    ],
)
def test_so_it_is_with_other_ways_to_learn(tmp_path: Path, pictures: Path, changes: dict[str, object]) -> None:
    config = Config(**SMALL.to_dict() | changes)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", pictures, config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", pictures, config, progress=Interrupt("epoch 2, step 2 "))
    assert run(tmp_path / "broken", pictures, config, resume=True) == whole
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path, pictures: Path) -> None:
    stuck = Config(epochs=50, batch=32, lr=1e-6, schedule="constant", ema=0.0, validation=0.1, patience=2)
    run(tmp_path, pictures, stuck)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    tops = [row["valid_top1"] for row in rows]
    assert len(rows) < 50 and tops.index(max(tops)) == len(tops) - 3


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 4)])
def test_the_best_epoch_is_kept_or_the_last(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, keep: str, epoch: int
) -> None:
    tops = [50.0, 70.0, 60.0, 65.0]
    monkeypatch.setattr(
        "vidclf.training.loop.validate", lambda config, epoch, *_: {"valid_loss": 1.0, "valid_top1": tops[epoch - 1]}
    )
    run(tmp_path, pictures, Config(**SMALL.to_dict() | {"epochs": 4, "keep": keep}))  # type: ignore[arg-type]
    assert read_header(tmp_path / "best.safetensors")["epoch"] == epoch
    assert read_header(tmp_path / "out.safetensors")["validation_top1"] == tops[epoch - 1]


def test_the_best_weights_are_never_those_of_an_epoch_that_did_not_end(tmp_path: Path, pictures: Path) -> None:
    """The best weights are written first: a run that is killed then had them, and their accuracy, for good."""
    run(tmp_path, pictures, Config(**SMALL.to_dict() | {"epochs": 2}))  # type: ignore[arg-type]
    last = (tmp_path / "last.safetensors").read_bytes()
    run(tmp_path / "longer", pictures, Config(**SMALL.to_dict() | {"epochs": 3, "keep": "last"}))  # type: ignore[arg-type]
    shutil.copy(tmp_path / "longer" / "best.safetensors", tmp_path)  # of epoch 3
    (tmp_path / "last.safetensors").write_bytes(last)
    run(tmp_path, pictures, Config(**SMALL.to_dict() | {"epochs": 2}), resume=True, replace=True)  # type: ignore[arg-type]
    header = read_header(tmp_path / "out.safetensors")
    assert (read_header(tmp_path / "best.safetensors")["epoch"], header["epochs"]) == (2, 2)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert header["validation_top1"] == rows[-1]["valid_top1"]


def test_weights_are_there_whatever_happens_to_a_picture(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("no such font")

    monkeypatch.setattr(Board, "confusion", fails)
    with pytest.raises(ValueError, match="no such font"):
        run(tmp_path, pictures)
    assert read_header(tmp_path / "out.safetensors")["metrics"]["total"]
    assert (tmp_path / "report.html").exists()


def test_a_file_that_appears_during_a_run_is_not_replaced(tmp_path: Path, pictures: Path) -> None:
    output = tmp_path / "out.safetensors"

    class Other(Progress):
        def live(self, text: str) -> None:
            output.write_text("theirs")

    config = Config(model="v1", epochs=1, batch=32)
    with pytest.raises(UsageError) as raised:
        run(tmp_path, pictures, config, progress=Other(quiet=True))
    assert str(raised.value) == f"{output} has appeared during the training: choose another with --resume -o FILE"
    assert output.read_text() == "theirs"
    output.unlink()
    run(tmp_path, pictures, config, force=True, replace=True, progress=Other(quiet=True))
    run(tmp_path, pictures, config, resume=True, replace=True)


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path, pictures, Config(epochs=2, batch=32, validation=0.0))
    assert read_header(tmp_path / "best.safetensors")["epoch"] == 2
    assert read_header(tmp_path / "out.safetensors")["temperature"] == 1.0


def test_without_validation_none_is_told(tmp_path: Path, pictures: Path) -> None:
    said = io.StringIO()
    run(tmp_path, pictures, Config(model="v1", epochs=1, batch=32, validation=0.0), progress=Progress(said))
    assert said.getvalue().startswith(
        "10 classes: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker,"
    )
    assert "  no validation  rate " in said.getvalue() and "0.00 %" not in said.getvalue()
    assert "validation_top1" not in read_header(tmp_path / "out.safetensors")
    with pytest.raises(UsageError, match="patience 3 needs validation crops, and there are none"):
        run(tmp_path / "new", pictures, Config(validation=0.0, patience=3))


def test_few_crops_to_validate_leave_the_temperature_as_it_was(tmp_path: Path, pictures: Path) -> None:
    said = io.StringIO()
    run(tmp_path, pictures, Config(model="v1", epochs=1, batch=32, validation=0.1), progress=Progress(said))
    assert "the temperature stays 1: fitting it needs 100 validation crops with 5 mistakes" in said.getvalue()
    assert read_header(tmp_path / "out.safetensors")["temperature"] == 1.0


DIVERGED = r"^epoch \d: the training diverged: try .* than lr 10$"


@pytest.mark.parametrize("harm", ["weights", "answers"])
def test_a_last_step_that_ruins_the_weights_is_told(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    if harm == "weights":
        ruin = lambda average, *_: next(average.parameters()).fill_(torch.nan)  # noqa: E731
        monkeypatch.setattr("vidclf.training.epoch.update_average", ruin)
    else:
        monkeypatch.setattr("vidclf.training.evaluation.predict", lambda *_: torch.full((50, 10), torch.nan))
    with pytest.raises(VidclfError, match=DIVERGED):
        run(tmp_path, pictures, Config(model="v1", epochs=1, lr=10.0, validation=0.0))
    assert not (tmp_path / "out.safetensors").exists()


def test_a_run_that_learns_nothing_any_more_ends_and_keeps_what_it_had(tmp_path: Path, pictures: Path) -> None:
    config = Config(model="v1", epochs=9, batch=32, optimizer="sgd", lr=10.0, schedule="constant", warmup=0.0, ema=0.0)
    with pytest.raises(VidclfError, match=DIVERGED):
        run(tmp_path, pictures, config)
    assert "NaN" not in "".join(path.read_text() for path in tmp_path.glob("metrics.jsonl"))
    assert not (tmp_path / "out.safetensors").exists()
