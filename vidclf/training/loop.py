"""Training, from pictures to a checkpoint: `train` is in the order in which things happen."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.errors import UsageError, VidclfError
from vidclf.files import hash_file
from vidclf.models import checkpoint
from vidclf.models.labels import named
from vidclf.models.zoo import create
from vidclf.training import data, evaluation, page
from vidclf.training.augment import augment_all
from vidclf.training.board import Board
from vidclf.training.config import Config
from vidclf.training.data import Dataset
from vidclf.training.epoch import Learner, mixed_precision, train_epoch
from vidclf.training.optim import make_optimizer
from vidclf.training.progress import Progress, duration
from vidclf.training.run import Run, State, git_commit, run_tensors
from vidclf.training.start import is_same, load_start, take_over
from vidclf.training.targets import load_teachers, taught

# Mean and standard deviation of the pixels, 0..1. Predecessor A normalised Fashion-MNIST with those of MNIST.
NORMALISATIONS = {"mnist": (0.1307, 0.3081), "none": (0.0, 1.0)}


def train(
    config: Config,
    folder: Path,
    output: Path,
    data_folder: Path | None = None,
    *,
    verify: bool = True,
    resume: bool = False,
    time_limit: float | None = None,
    device: str = "cpu",
    compiled: bool = False,
    progress: Progress | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train a network and write its checkpoint to `output`; returns its test metrics (see evaluation.score).

    folder: the files of the run, see `Run`; `resume` continues from there.
    time_limit: seconds. The learning rate follows the epochs or the clock, whichever is further, so that a run that
    the clock cuts short still completes its schedule. Without it, a CPU run depends only on `config` and the number
    of threads, and an interrupted and resumed run ends with the same weights, bit for bit.
    compiled: compile the training step with torch.compile (slow to start; faster on GPUs, no gain seen on CPUs).
    """
    progress = progress or Progress()
    data.check_outside(folder, data_folder)
    before = load_start(config)
    policy = before.preprocess if before else config.policy
    everything = data.load(data_folder, "train", policy, verify, config.labels or None, progress.live)
    if before and is_same(before.labels, everything.labels):
        everything = everything.named_as(before.labels)
    progress.line(named(everything.labels))
    test = data.load(data_folder, "test", policy, verify, everything.labels, progress.live)
    learning, validation = data.set_aside(everything, config.validation, data_folder, policy)
    digests = {
        "start": hash_file(checkpoint.find(config.start)) if before else None,
        "data": everything.digest(),
        "validation": validation.digest(),
        "test": test.digest(),
        "teachers": [hash_file(checkpoint.find(name)) for name in config.distill],
    }
    learning, validation, test = (part.to(device) for part in (learning, validation, test))
    labels = everything.labels
    if config.patience and not len(validation):
        raise UsageError(f"patience {config.patience} needs validation crops, and there are none")
    if len(learning) < 2:
        raise UsageError(f"too few training pictures: {len(learning)}, at least 2 are needed")
    # A few pictures need many steps, too; batch normalisation needs more than one crop in each.
    batch = min(config.batch, max(2, len(learning) // 8))
    steps = len(learning) // batch
    weights = data.class_weights(learning.targets, len(labels)) if config.class_weights else None
    teachers = load_teachers(config.distill, labels, policy, device)

    torch.manual_seed(config.seed)
    if before and config.normalise == "start":
        mean, std = float(before.mean), float(before.std)
    else:
        mean, std = NORMALISATIONS.get(config.normalise) or measure(learning.images)
    model = create(config.model, labels, policy, mean, std, pretrained=config.pretrained, init=config.init)
    if before:
        take_over(model, before)
        if before.labels == labels:
            progress.line(f"starting from all weights of {config.start}")
        else:
            progress.line(
                f"starting from the weights of {config.start}, but with a fresh last layer, because it has other "
                f"classes: {named(before.labels)}"
            )
    model.to(device).to(memory_format=torch.channels_last)
    forward = torch.compile(model) if compiled else model
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = make_optimizer(model, config)
    learner = Learner(config, batch, model, forward, average, optimizer, weights, device)
    run = Run(folder, config.to_dict(), digests)
    tensors = run_tensors(model, average, optimizer)
    with run:
        state = run.restore(tensors) if resume else run.start()
        board = Board(folder, state.epoch, progress.line)
        begin = time.monotonic() - state.seconds
        progress.line(
            f"{config.model}: {model.parameter_count:,} parameters, {len(learning):,} training crops, "
            f"{len(validation):,} validation, {len(test):,} test; {device}, {torch.get_num_threads()} threads"
        )

        def done(step: int) -> float:
            """The finished share of the run, 0..1."""
            clock = (time.monotonic() - begin) / time_limit if time_limit else 0.0
            return max(step / (steps * config.epochs), clock)

        answers: dict[int, Tensor] = {}  # of the teachers, for each version of the crops that is used again
        while (
            state.epoch < config.epochs and done(state.epoch * steps) < 1 and not out_of_patience(config, state.history)
        ):
            epoch_begin = time.monotonic()
            progress.live(f"epoch {state.epoch + 1}, making crops")
            # Every version of the crops and every epoch has its own random stream, so a resumed run needs no other
            # random state.
            version = state.epoch % config.views if config.views else state.epoch
            torch.manual_seed(config.seed * 200_003 + 100_000 + version)
            crops = augment_all(learning.images, config)
            if teachers and version not in answers:
                if not config.views:
                    answers.clear()
                with mixed_precision(device):
                    answers[version] = taught(teachers, crops, config.distill_temperature)
            losses, hits, rate = train_epoch(
                learner, crops, learning.targets, answers.get(version), state.epoch, done, progress
            )
            state.epoch += 1
            # If the last step diverged, no loss shows it yet.
            check_finite(config, state.epoch, *losses, *average.state_dict().values())
            row: dict[str, Any] = {"epoch": state.epoch, "rate": round(rate, 6)}
            if losses:
                row["loss"] = round(float(torch.stack(losses).mean()), 4)
                row |= evaluation.tops(torch.cat(hits))
            average.eval()
            if len(validation):
                scores = evaluation.predict(average, validation.images)
                check_finite(config, state.epoch, scores)
                row["valid_loss"] = round(float(F.cross_entropy(scores, validation.targets)), 4)
                tops = evaluation.tops(evaluation.hits(scores, validation.targets))
                row |= {f"valid_{name}": value for name, value in tops.items()}
            row["seconds"] = round(time.monotonic() - epoch_begin, 1)
            state.history.append(row)
            board.row(row)
            # Without validation the last epoch is kept.
            if (top1 := row.get("valid_top1", 0.0)) >= state.best:
                state.best = top1
                checkpoint.save(run.best, average, epoch=state.epoch, seed=config.seed)
            state.seconds = time.monotonic() - begin
            run.save(state, tensors)
            share = min(1.0, done(state.epoch * steps))
            validated = f"validation {top1:.2f} %" if len(validation) else "no validation"
            progress.line(
                f"epoch {state.epoch}/{config.epochs}  loss {row.get('loss', '-')}  {validated}  rate {rate:.4f}  "
                f"{row['seconds']} s  {duration(state.seconds * (1 / share - 1))} left"
            )

        return _conclude(config, run, state, validation, test, board, output, progress, command)


def _conclude(
    config: Config,
    run: Run,
    state: State,
    validation: Dataset,
    test: Dataset,
    board: Board,
    output: Path,
    progress: Progress,
    command: str,
) -> dict[str, Any]:
    """Calibrate the best weights of a run, test them, write checkpoint and report; returns the test metrics."""
    labels = test.labels
    best = checkpoint.load(run.best, str(test.images.device))
    if len(validation):
        scores = evaluation.predict(best, validation.images)
        if (temperature := evaluation.fit_temperature(scores, validation.targets)) is not None:
            best.temperature = temperature
        else:
            progress.line(
                f"the temperature stays 1: fitting it needs {evaluation.LEAST_CROPS} validation crops with "
                f"{evaluation.LEAST_MISTAKES} mistakes among them"
            )
        validated = evaluation.confusion(validation.targets, scores.argmax(1), len(labels))
    scores = evaluation.predict(best, test.images)  # the only use of the test set
    check_finite(config, state.epoch, scores)
    metrics = evaluation.score(scores, test.targets, labels, best.temperature)
    checkpoint.save(
        output,
        best,
        metrics={key: metrics[key] for key in ("correct", "total", "top1", "top5", "ece")},
        **({"validation_top1": state.best} if len(validation) else {}),
        seed=config.seed,
        data=run.digests["data"],
        config=config.to_dict(),
        epochs=state.epoch,
        seconds=round(state.seconds),
        command=command,
        commit=git_commit(),
    )
    report = run.folder / "report.html"
    page.write_report(report, checkpoint.read_header(output), scores, test.targets, test.images, state.history)
    progress.line(f"{duration(state.seconds)}, temperature {best.temperature}; wrote {output} and {report}")
    # Last, because whatever goes wrong with a picture must not cost the weights.
    if len(validation):
        board.confusion("valid", validated, labels, state.epoch)
    tested = evaluation.confusion(test.targets, scores.argmax(1), len(labels))
    board.test(metrics | {"loss": float(F.cross_entropy(scores, test.targets))}, tested, labels, state.epoch)
    board.close()
    return metrics


def measure(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels, on a scale of 0..1."""
    std, mean = (round(float(value) / 255, 4) for value in torch.std_mean(images.float()))
    return mean, max(std, 1e-4)


def check_finite(config: Config, epoch: int, *values: Tensor) -> None:
    """Raise VidclfError if a run has diverged, so that these values are not finite."""
    if not all(bool(value.isfinite().all()) for value in values):
        raise VidclfError(f"epoch {epoch}: the training diverged: try a lower learning rate than lr {config.lr:g}")


def out_of_patience(config: Config, history: list[dict[str, Any]]) -> bool:
    """Whether there have been config.patience epochs since the best one on validation."""
    tops = [row["valid_top1"] for row in history if "valid_top1" in row]
    return bool(config.patience and tops) and len(tops) - 1 - tops.index(max(tops)) >= config.patience
