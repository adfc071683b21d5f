"""Training, from pictures to a checkpoint: `train` reads from top to bottom in the order in which it happens."""

from __future__ import annotations

import copy
import math
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidclf.models import checkpoint
from vidclf.models.zoo import create
from vidclf.preprocess import Preprocess
from vidclf.training import data, report
from vidclf.training.augment import augment
from vidclf.training.config import Config
from vidclf.training.progress import Progress, duration
from vidclf.training.run import Run, run_tensors


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
    progress: Progress | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train a network and write its checkpoint to `output`; returns its figures on the test set (see report.score).

    folder: what is kept of the run, see `Run`; `resume` continues from there.
    time_limit: seconds. The learning rate follows whatever is further, the epochs or the clock, so that a run that
    is cut short by the clock still ends annealed. Without it, a CPU run depends on nothing but `config` and the
    number of threads, and an interrupted and resumed one ends in the same weights, bit for bit.
    """
    progress = progress or Progress()
    policy = Preprocess()
    everything = data.load(data_folder, "train", policy, verify)
    test = data.load(data_folder, "test", policy, verify).to(device)
    learning, validation = (part.to(device) for part in data.split(everything, config.validation, config.seed))
    batch = min(config.batch, len(learning))
    steps = len(learning) // batch

    torch.manual_seed(config.seed)
    std, mean = (round(float(value) / 255, 4) for value in torch.std_mean(learning.images.float()))
    model = create(config.model, everything.labels, policy, mean, std).to(device)
    average = copy.deepcopy(model).requires_grad_(False)  # what is validated and kept
    optimizer = _optimizer(model, config)
    run = Run(folder, config.to_dict(), everything.digest())
    tensors = run_tensors(model, average, optimizer)
    state = run.restore(tensors) if resume else run.start()
    begin = time.monotonic() - state.seconds
    progress.line(
        f"{config.model}: {model.parameter_count:,} parameters, {len(learning):,} crops to learn from, "
        f"{len(validation):,} to validate, {len(test):,} to test; {device}, {torch.get_num_threads()} threads"
    )

    def done(step: int) -> float:
        """The share of the run that lies behind, 0..1."""
        clock = (time.monotonic() - begin) / time_limit if time_limit else 0.0
        return max(step / (steps * config.epochs), clock)

    while state.epoch < config.epochs and done(state.epoch * steps) < 1:
        # Every epoch has a random stream of its own: a resumed run needs no other memory of chance.
        torch.manual_seed(config.seed * 100_003 + state.epoch + 1)
        epoch_begin = time.monotonic()
        order = torch.randperm(len(learning)).to(device)
        losses: list[Tensor] = []
        rate = 0.0
        model.train()
        for i in range(steps):
            step = state.epoch * steps + i
            if (share := done(step)) >= 1:
                break
            rate = config.lr * schedule(share, config.warmup / config.epochs)
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = order[i * batch : (i + 1) * batch]
            with mixed_precision(device):
                logits = model(augment(learning.images[chosen], config))
                loss = F.cross_entropy(logits.float(), learning.targets[chosen], label_smoothing=config.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _follow(average, model, min(config.ema, (1 + step) / (10 + step)))
            losses.append(loss.detach())
            progress.live(f"epoch {state.epoch + 1}, step {i + 1} of {steps}")

        state.epoch += 1
        state.seconds = time.monotonic() - begin
        row = {
            "epoch": state.epoch,
            "loss": round(float(torch.stack(losses).mean()), 4) if losses else None,
            "rate": round(rate, 6),
            "seconds": round(time.monotonic() - epoch_begin, 1),
        }
        average.eval()
        top1 = report.evaluate(average, validation)["top1"] if len(validation) else 0.0
        row["valid_top1"] = top1
        state.history.append(row)
        if top1 >= state.best:
            state.best = top1
            checkpoint.save(run.best, average, epoch=state.epoch, seed=config.seed)
        run.save(state, tensors)
        share = min(1.0, done(state.epoch * steps))
        progress.line(
            f"epoch {state.epoch}/{config.epochs}  loss {row['loss']}  validation {top1:.2f} %  rate {rate:.4f}  "
            f"{row['seconds']} s  {duration(state.seconds * (1 / share - 1))} left"
        )

    best = checkpoint.load(run.best, device)
    if len(validation):
        best.temperature = report.fit_temperature(report.predict(best, validation.images), validation.targets)
    metrics = report.evaluate(best, test)
    checkpoint.save(
        output,
        best,
        metrics={key: metrics[key] for key in ("correct", "total", "top1", "top5", "ece")},
        validation_top1=state.best,
        seed=config.seed,
        data=run.digest,
        config=config.to_dict(),
        epochs=state.epoch,
        seconds=round(state.seconds),
        command=command,
    )
    progress.line(f"{duration(state.seconds)}, temperature {best.temperature}; wrote {output}")
    return metrics


def schedule(done: float, warmup: float) -> float:
    """The learning rate as a share of the highest: a linear warm-up, then half a cosine down to zero."""
    if done < warmup:
        return max(done / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))


def mixed_precision(device: str) -> AbstractContextManager[Any]:
    """bfloat16 convolutions where the hardware has them; elsewhere everything stays float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        able = kind == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return torch.autocast(kind, torch.bfloat16, enabled=able)


def _optimizer(model: nn.Module, config: Config) -> torch.optim.SGD:
    """SGD with Nesterov's momentum; only weights decay: biases and normalisations have one dimension."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged network, batch statistics included, towards the trained one."""
    pairs = [
        (a, b)
        for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True)
        if a.is_floating_point()
    ]
    torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 1 - decay)
