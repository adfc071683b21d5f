import io
import itertools
import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.idx import write_bars
from vidclf.errors import UsageError, VidclfError
from vidclf.models import create, load, save
from vidclf.models.checkpoint import read_header, write_tensors
from vidclf.models.classifier import Classifier
from vidclf.preprocess import Preprocess
from vidclf.training import data
from vidclf.training.board import Board
from vidclf.training.config import Config
from vidclf.training.epoch import Learner, _loss
from vidclf.training.evaluation import predict
from vidclf.training.loop import train
from vidclf.training.progress import Progress, duration
from vidclf.training.run import Run, git_commit
from vidclf.training.run_files import check_output
from vidclf.training.targets import load_teachers, soft_targets

SMALL = Config(epochs=3, batch=32, lr=0.05, warmup=0.5, ema=0.9, validation=0.1, seed=5)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars"))


def run(folder: Path, pictures: Path, config: Config = SMALL, **options: object) -> dict[str, object]:
    progress = options.pop("progress", Progress(quiet=True))
    return train(config, folder, folder / "out.safetensors", pictures, verify=False, progress=progress, **options)  # type: ignore[arg-type]


class Interrupt(Progress):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, at: str) -> None:
        super().__init__(quiet=True)
        self.at = at

    def live(self, text: str) -> None:
        if text.startswith(self.at):
            raise KeyboardInterrupt


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


def test_a_student_learns_its_teachers_answers(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path / "teacher", pictures, Config(epochs=6, batch=20, lr=0.05, ema=0.9, validation=0.1))
    weights = str(tmp_path / "teacher" / "out.safetensors")
    distilled = {"model": "lean-small", "distill": (weights,), "distill_share": 1.0, "views": 2}
    config = Config(**SMALL.to_dict() | distilled)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", pictures, config)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", pictures, config, progress=Interrupt("epoch 3, step 2 "))
    assert run(tmp_path / "broken", pictures, config, resume=True) == whole
    # With a share of 1 the labels say nothing, so this can only have come from the teacher.
    many = Config(**config.to_dict() | {"epochs": 20, "views": 0})  # type: ignore[arg-type]
    assert run(tmp_path / "many", pictures, many)["top1"] >= 60


def test_a_teacher_may_have_its_classes_in_another_order_and_called_like_folders(tmp_path: Path) -> None:
    """Crops that a pipeline saved lie in the folder T-shirt_top, and could not be taught by `lean`."""
    torch.manual_seed(0)
    model = create("v1", ["Trouser", "T-shirt/top", "Bag"]).eval()
    weights = str(save(tmp_path / "teacher.safetensors", model))
    (teacher,) = load_teachers([weights], ["Bag", "T-shirt_top", "Trouser"], Preprocess(), "cpu")
    crops = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.allclose(soft_targets([teacher], crops, 1.0), model.probabilities(crops)[:, [2, 1, 0]], atol=1e-6)


def test_a_teachers_classes_of_one_folder_name_stay_apart(tmp_path: Path) -> None:
    labels = ["<5 kg", ">5 kg", "other"]
    weights = str(save(tmp_path / "teacher.safetensors", create("v1", labels)))
    (teacher,) = load_teachers([weights], labels, Preprocess(), "cpu")
    assert teacher.order == [0, 1, 2]


def test_a_teacher_must_know_the_same_classes_and_crops(tmp_path: Path, pictures: Path) -> None:
    save(tmp_path / "ab.safetensors", create("v1", ["a", "b"]))
    with pytest.raises(UsageError, match=r"ab\.safetensors has other classes: a, b"):
        run(tmp_path / "run", pictures, Config(distill=(str(tmp_path / "ab.safetensors"),)))
    save(tmp_path / "big.safetensors", create("lean", preprocess=Preprocess(size=32)))
    with pytest.raises(UsageError, match=r"big\.safetensors takes other crops: 32 pixels and 1 channels"):
        run(tmp_path / "run", pictures, Config(distill=(str(tmp_path / "big.safetensors"),)))
    with pytest.raises(UsageError, match="no pretrained weights for lean"):
        run(tmp_path / "run", pictures, Config(pretrained=True))
    assert not (tmp_path / "run" / "config.json").exists()


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path, pictures: Path) -> None:
    stuck = Config(epochs=50, batch=32, lr=1e-6, schedule="constant", ema=0.0, validation=0.1, patience=2)
    run(tmp_path, pictures, stuck)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    tops = [row["valid_top1"] for row in rows]
    assert len(rows) < 50 and tops.index(max(tops)) == len(tops) - 3


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


def test_resuming_wants_the_same_teachers(tmp_path: Path, pictures: Path) -> None:
    teacher = save(tmp_path / "teacher.safetensors", create("v1"))
    config = Config(**SMALL.to_dict() | {"model": "v1", "distill": (str(teacher),)})  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", pictures, config, progress=Interrupt("epoch 2"))
    save(teacher, create("v1"))
    with pytest.raises(UsageError, match="started with other teachers: resume it with the same --distill"):
        run(tmp_path / "run", pictures, config, resume=True)


def test_runs_of_before_are_resumed(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, pictures, progress=Interrupt("epoch 2"))
    asked = json.loads((tmp_path / "config.json").read_text())
    assert list(asked) == ["settings", "data", "validation", "test", "classes", "start", "teachers"]
    assert asked["settings"].pop("start") == ""  # a setting that came later
    (tmp_path / "config.json").write_text(json.dumps({name: asked[name] for name in ("settings", "data")}))
    run(tmp_path, pictures, resume=True)
    check_output(tmp_path / "out.safetensors", tmp_path, resume=True)  # it is still this run's
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
    run(tmp_path, pictures, resume=True)  # when it is over, it may be continued


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


@pytest.mark.parametrize("blend", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_of_a_blend_the_larger_share_is_right(blend: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect network was right about half of them."""
    config = replace(SMALL, **blend)
    model = create("v1", ["black", "white"])
    crops = torch.tensor([0, 255]).repeat(8)[:, None, None, None].expand(16, 1, 28, 28).to(torch.uint8)

    def perfect(blended: torch.Tensor) -> torch.Tensor:
        white = blended.float().mean(dim=(1, 2, 3)) / 255
        return torch.stack([1 - white, white], dim=1).log()

    learner = Learner(config, 16, 1, model, perfect, model, None, None, "cpu")  # type: ignore[arg-type]
    torch.manual_seed(0)
    for _ in range(20):
        _, right = _loss(learner, crops, torch.tensor([0, 1]).repeat(8), None)
        assert right[:, 0].float().mean() >= 0.9  # shares of a half are anybody's


def test_large_crops_take_no_more_memory_than_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(Classifier, "__call__", lambda _, part: sizes.append(len(part)) or torch.zeros(len(part), 2))
    for size in (28, 112):
        predict(create("v1", ["a", "b"]), torch.zeros(1030, 1, size, size, dtype=torch.uint8))
    assert sizes == [512, 512, 6] + [32] * 32 + [6]


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
    run(tmp_path, pictures, config, force=True, progress=Other(quiet=True))
    run(tmp_path, pictures, config, resume=True)  # it replaces its own


def test_a_new_run_does_not_continue_an_old_one(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path, pictures)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, pictures, progress=Interrupt("epoch 1"))
    assert not (tmp_path / "last.safetensors").exists()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes a second."""
    seconds = itertools.count()
    monkeypatch.setattr("vidclf.training.clock.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


@pytest.mark.usefixtures("clock")
def test_the_time_limit_ends_a_run_annealed(tmp_path: Path, pictures: Path) -> None:
    run(tmp_path, pictures, Config(epochs=1000, batch=32, ema=0.9, validation=0.1), time_limit=60.0)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert 0 < len(rows) < 1000
    assert rows[-1]["rate"] < 0.2 * max(row["rate"] for row in rows)
    assert load(tmp_path / "out.safetensors").name == "lean"


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("limit", [1.0, 2.0])  # the clock runs out before the crops are made, or while they are
def test_a_time_limit_without_a_single_step_makes_no_weights(tmp_path: Path, pictures: Path, limit: float) -> None:
    """An untrained network was written, as if all were well."""
    with pytest.raises(UsageError, match=r"^the time limit of \d s is too short for a single step$"):
        run(tmp_path, pictures, time_limit=limit)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.usefixtures("clock")
def test_the_clock_ends_an_epoch_between_two_of_its_steps(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list[str]()
    progress = Progress(quiet=True)
    monkeypatch.setattr(progress, "live", said.append)
    run(tmp_path, pictures, Config(model="v1", epochs=9, batch=32), progress=progress, time_limit=6.0)
    # Before the first step there are two looks at the clock.
    assert [text for text in said if "step" in text] == [f"epoch 1, step {i} of 8" for i in (1, 2, 3, 4)]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


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


def test_one_crop_is_too_little(tmp_path: Path) -> None:
    one = write_bars(tmp_path / "one", train=1, test=10)
    with pytest.raises(UsageError, match=r"^too few training pictures: 1, at least 2 are needed$"):
        run(tmp_path / "run", one, Config(model="v1"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_learns_nothing_any_more_ends_and_keeps_what_it_had(tmp_path: Path, pictures: Path) -> None:
    config = Config(model="v1", epochs=9, batch=32, optimizer="sgd", lr=10.0, schedule="constant", warmup=0.0, ema=0.0)
    with pytest.raises(VidclfError, match=DIVERGED):
        run(tmp_path, pictures, config)
    assert "NaN" not in "".join(path.read_text() for path in tmp_path.glob("metrics.jsonl"))
    assert not (tmp_path / "out.safetensors").exists()


def test_a_handful_of_crops_suffices_for_batch_normalisation(tmp_path: Path) -> None:
    few = write_bars(tmp_path / "few", train=10, test=10)
    run(tmp_path / "run", few, Config(model="resnet18", epochs=1))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_commit_is_that_of_the_code_not_of_what_it_is_installed_in(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "run.py").write_text("")
    (tmp_path / "own.py").write_text("")
    subprocess.run([*git, "add", "own.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "own"], check=True)
    assert git_commit(tmp_path / "run.py") is None
    assert len(git_commit(tmp_path / "own.py") or "") == 40


def test_settings_outside_their_range_are_refused() -> None:
    with pytest.raises(UsageError, match="milestones must be 1 or more, got 40, -3"):
        Config(milestones=(40, -3))
    with pytest.raises(UsageError, match="epochs must be 1 to 10000, got 0"):
        Config(epochs=0)
    with pytest.raises(UsageError, match=r"validation must be 0 to 0\.5, got 0\.7"):
        Config(validation=0.7)
    with pytest.raises(UsageError, match="batch must be 2 to 65536, got 1"):  # batch normalisation wants two
        Config(batch=1)


def test_progress_writes_lines_and_on_a_terminal_a_live_one() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        progress = Progress(stream)
        progress.live("step 1 of 10")
        progress.line("epoch 1")
    assert plain.getvalue() == "epoch 1\n"
    assert terminal.getvalue() == "step 1 of 10\repoch 1     \n"
    assert [duration(s) for s in (42, 725, 3725)] == ["42 s", "12 min 05 s", "1 h 02 min"]


def test_settings_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="schedule must be one of cosine, constant, milestone, one-cycle, got 'steps'"):
        Config(schedule="steps")
    with pytest.raises(UsageError, match="schedule milestone needs milestones"):
        Config(schedule="milestone")
    for blend in ("mixup", "cutmix"):
        with pytest.raises(UsageError, match=rf"^{blend} must be 0, or 0\.001 to 10, got 1e-300$"):
            Config(**{blend: 1e-300})
    with pytest.raises(UsageError, match="mixup and cutmix"):
        Config(mixup=1.0, cutmix=1.0)
