"""Training, from pictures to a checkpoint: `train` is in the order in which things happen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vidclf.errors import UsageError, VidclfError
from vidclf.files import hash_file
from vidclf.models import checkpoint
from vidclf.models.classifier import Classifier
from vidclf.training import data, evaluation, page
from vidclf.training.board import Board
from vidclf.training.clock import Clock
from vidclf.training.config import Config
from vidclf.training.data import Dataset, Parts
from vidclf.training.epoch import train_epoch
from vidclf.training.learner import make_learner
from vidclf.training.progress import Progress, duration
from vidclf.training.run import Run, State, git_commit, run_tensors
from vidclf.training.start import known_pictures, load_start, weights_digests
from vidclf.training.targets import load_teachers
from vidclf.training.views import Views


def train(
    config: Config,
    folder: Path,
    output: Path,
    data_folder: Path | None = None,
    *,
    verify: bool = True,
    resume: bool = False,
    force: bool = False,
    replace: bool = False,
    time_limit: float | None = None,
    device: str = "cpu",
    compiled: bool = False,
    progress: Progress | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train a network and write its checkpoint to `output`; returns its test metrics (see evaluation.score).

    folder: the files of the run, see `Run`; `resume` continues from there, `force` starts over whatever is there.
    replace: `output` may be there, or appear during the training, so that it is another program's.
    time_limit: seconds. The learning rate follows the epochs or the clock, whichever is further, so that a run that
    the clock cuts short still completes its schedule. Without it, a CPU run depends only on `config` and the number
    of threads, and an interrupted and resumed run ends with the same weights, bit for bit.
    compiled: compile the network with torch.compile: 40 to 70 seconds at the start, then a step takes a sixth less time
    on a CPU with AMX (a network twice as wide as `lean`: 460 instead of 547 ms); no gain was seen on others.
    """
    progress = progress or Progress()
    data.check_outside(folder, output, data_folder)
    before = load_start(config)
    policy = before.preprocess if before else config.policy
    parts = data.load_parts(config, data_folder, policy, before.labels if before else (), verify, progress).to(device)
    if warning := known_pictures(config, parts.digests["data"], data.has_validation(data_folder)):
        progress.warn(warning)
    learner = make_learner(config, parts, before, device, compiled, progress)
    teachers = load_teachers(config.distill, parts.labels, policy, device)
    views = Views(parts.learning.images, teachers, config)
    replaces = hash_file(output) if replace and output.is_file() else None
    run = Run(folder, config.to_dict(), parts.digests | weights_digests(config), replaces, command, time_limit)
    tensors = run_tensors(learner.model, learner.average, learner.optimizer)
    with run:
        state = run.restore(tensors) if resume else run.start(force)
        if state.epoch and run.kept_epoch() > state.epoch:
            # It was killed between the two files; that epoch is done again, and may end otherwise.
            state.best = state.history[-1].get("valid_top1", 0.0)
            checkpoint.save(run.files.best, learner.average, epoch=state.epoch, seed=config.seed)
        board = Board(folder, state.epoch, progress.line)
        clock = Clock(learner.steps * config.epochs, run.time_limit, state.seconds)
        progress.line(
            f"{config.model}: {learner.model.parameter_count:,} parameters, {len(parts.learning):,} training crops, "
            f"{len(parts.validation):,} validation, {len(parts.test):,} test; {device}, "
            f"{torch.get_num_threads()} threads"
        )
        while (
            state.epoch < config.epochs
            and clock.share(state.epoch * learner.steps) < 1
            and not out_of_patience(config, state.history)
        ):
            begin = time.monotonic()
            progress.live(f"epoch {state.epoch + 1}, making crops")
            crops, soft_targets = views.of(state.epoch)
            losses, hits, rate = train_epoch(
                learner, crops, parts.learning.targets, soft_targets, state.epoch, clock, progress
            )
            if not losses:  # the clock ran out while the crops were made
                break
            state.epoch += 1
            # If the last step diverged, no loss shows it yet.
            check_finite(config, state.epoch, *losses, *learner.average.state_dict().values())
            row: dict[str, Any] = {"epoch": state.epoch, "rate": round(rate, 6)}
            row |= {"loss": round(float(torch.stack(losses).mean()), 4), **evaluation.tops(torch.cat(hits))}
            row |= validate(config, state.epoch, learner.average, parts.validation)
            row["seconds"] = round(time.monotonic() - begin, 1)
            state.history.append(row)
            board.row(row)
            # Without validation the last epoch is kept.
            if (top1 := row.get("valid_top1", 0.0)) >= state.best or config.keep == "last":
                state.best = top1
                checkpoint.save(run.files.best, learner.average, epoch=state.epoch, seed=config.seed)
            state.seconds = clock.seconds
            run.save(state, tensors)
            validated = f"validation {top1:.2f} %" if len(parts.validation) else "no validation"
            progress.line(
                f"epoch {state.epoch}/{config.epochs}  loss {row['loss']}  {validated}  rate {rate:.4f}  "
                f"{row['seconds']} s  {duration(clock.left(state.epoch * learner.steps))} left"
            )
        if not state.epoch:
            raise UsageError(f"the time limit of {duration(run.time_limit or 0)} is too short for a single step")
        return conclude(config, run, state, parts, board, output, replace, progress)


def validate(config: Config, epoch: int, average: Classifier, validation: Dataset) -> dict[str, float]:
    """The part of an epoch's row that is about the validation crops; empty if there are none."""
    average.eval()
    if not len(validation):
        return {}
    scores = evaluation.predict(average, validation.images)
    check_finite(config, epoch, scores)
    tops = evaluation.tops(evaluation.hits(scores, validation.targets))
    loss = round(float(F.cross_entropy(scores, validation.targets)), 4)
    return {"valid_loss": loss} | {f"valid_{name}": value for name, value in tops.items()}


def conclude(
    config: Config,
    run: Run,
    state: State,
    parts: Parts,
    board: Board,
    output: Path,
    replace: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Calibrate the kept weights of a run, test them, write checkpoint and report; returns the test metrics.

    replace: `output` may exist; otherwise that is a UsageError.
    """
    validation, test, labels = parts.validation, parts.test, parts.labels
    best = checkpoint.load(run.files.best, str(test.images.device))
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
    if output.exists() and not replace:
        raise UsageError(f"{output} has appeared during the training: choose another with --resume -o FILE")
    checkpoint.save(
        output,
        best,
        replace,
        metrics={key: metrics[key] for key in ("correct", "total", "top1", "top5", "ece")},
        **({"validation_top1": state.best} if len(validation) else {}),
        seed=config.seed,
        data=run.digests["data"],
        teachers=run.digests["teachers"],
        config=config.to_dict(),
        epochs=state.epoch,
        seconds=round(state.seconds),
        command=run.command,
        commit=git_commit(),
    )
    page.write_report(
        run.files.report, checkpoint.read_header(output), scores, test.targets, test.images, state.history
    )
    progress.line(f"{duration(state.seconds)}, epoch {run.kept_epoch()} kept, temperature {best.temperature}")
    progress.line(f"wrote {output} and {run.files.report}")
    # Last, because whatever goes wrong with a picture must not cost the weights.
    if len(validation):
        board.confusion("valid", validated, labels, state.epoch)
    tested = evaluation.confusion(test.targets, scores.argmax(1), len(labels))
    board.test(metrics | {"loss": float(F.cross_entropy(scores, test.targets))}, tested, labels, state.epoch)
    board.close()
    return metrics


def check_finite(config: Config, epoch: int, *values: Tensor) -> None:
    """Raise VidclfError if a run has diverged, so that these values are not finite."""
    if not all(bool(value.isfinite().all()) for value in values):
        raise VidclfError(f"epoch {epoch}: the training diverged: try a lower learning rate than lr {config.lr:g}")


def out_of_patience(config: Config, history: list[dict[str, Any]]) -> bool:
    """Whether there have been config.patience epochs since the best one on validation."""
    tops = [row["valid_top1"] for row in history if "valid_top1" in row]
    return bool(config.patience and tops) and len(tops) - 1 - tops.index(max(tops)) >= config.patience
