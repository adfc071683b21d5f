"""The folder of a training run: its settings, its progress, and everything that is needed to continue it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidclf.errors import UsageError
from vidclf.files import PartFile, remove
from vidclf.lock import NameLock
from vidclf.models import checkpoint
from vidclf.models.header import is_number, is_whole
from vidclf.training.run_files import RunFiles, check_unused, read_config

# What a run keeps a hash of besides the settings: its name in messages, and the option that must be the same.
WHAT = {
    "start": ("starting weights", "--from"),
    "data": ("pictures", "--data"),
    "validation": ("validation pictures", "--data"),
    "test": ("test pictures", "--data"),
    "teachers": ("teachers", "--distill"),
    "classes": ("classes", "--data"),
}


@dataclass
class State:
    """How far a run has come; with the networks and the momentum, this is everything needed to continue."""

    epoch: int = 0  # epochs finished
    seconds: float = 0.0  # spent so far, over all interruptions
    best: float = -1.0  # top-1 on validation, percent
    history: list[dict[str, Any]] = field(default_factory=list)  # one row per epoch


class Run:
    """config.json, metrics.jsonl (a row per epoch), best.safetensors and last.safetensors (the state) in a folder.

    Every file is replaced in one step and the state comes last, so a run killed at any moment can be continued.
    digests: hashes of its inputs: "data" (the training pictures), "validation", ...
    replaces: the hash of a file that it is started to replace, by --force, so that it may be resumed without that.
    command, time_limit: those it was started with, also after `restore`, unless that is given another limit.
    `with run:` keeps other trainings out of the folder, from `start` or `restore` to the end.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        digests: Mapping[str, Any],
        replaces: str | None = None,
        command: str = "",
        time_limit: float | None = None,
    ) -> None:
        self.folder = folder
        self.files = RunFiles(folder)
        self.settings = dict(settings)
        self.digests = dict(digests)
        self._replaces = replaces
        self.command, self.time_limit = command, time_limit
        self._lock = NameLock(folder / "run")

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _take(self) -> None:
        if not self._lock.acquire():
            raise UsageError(f"{self.folder}: another training is running there: choose another with --run FOLDER")

    def start(self, force: bool = False) -> State:
        """Write the settings, and remove the files of an earlier run, which must not be taken for this one's.

        force: start even if there are epochs of another run, or other files (see `check_unused`).
        Raises UsageError otherwise, and if another process is training there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take()
        if not force:  # again, because another run may have come and gone while the pictures were read
            check_unused(self.folder)
        for path in (self.files.last, self.files.best, self.files.metrics, self.files.report):
            remove(path)
        more: dict[str, Any] = {"command": self.command, "time_limit": self.time_limit}
        more |= {"replaces": self._replaces} if self._replaces else {}
        _write_json(self.files.config, {"settings": self.settings, **self.digests, **more})
        return State()

    def kept_epoch(self) -> int:
        """The epoch that the kept weights are of; UsageError if their file is damaged."""
        epoch: Any = checkpoint.read_header(self.files.best).get("epoch")
        if not is_whole(epoch):
            raise UsageError(f"{self.files.best}: damaged (its header has no epoch)")
        return epoch

    def save(self, state: State, tensors: Mapping[str, Tensor]) -> None:
        """Save the state at the end of an epoch."""
        _write(self.files.metrics, "".join(json.dumps(row) + "\n" for row in state.history))
        checkpoint.write_tensors(self.files.last, tensors, {"state": asdict(state)})

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> State:
        """Restore these tensors to the end of the last finished epoch; to the start, if none was finished.

        A new time limit is written down for the next time.
        Raises UsageError if there is no run, one in another process, one with other settings or other pictures, or a
        damaged one; the tensors are then unchanged.
        """
        from safetensors import SafetensorError, safe_open

        asked = self._check()
        self._take()
        if asked.get("time_limit") != self.time_limit:
            _write_json(self.files.config, asked | {"time_limit": self.time_limit})
        last = self.files.last
        if not last.is_file():
            return State()
        try:
            with safe_open(last, "pt") as file:
                state = _read_state((file.metadata() or {}).get("state", ""))
                saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
        except (SafetensorError, OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{last}: damaged ({error})") from error
        kinds = [{name: (each.shape, each.dtype) for name, each in group.items()} for group in (saved, tensors)]
        if wrong := sorted(name for name, _ in kinds[0].items() ^ kinds[1].items()):
            raise UsageError(f"{last}: damaged (its tensors are not those of the run, {wrong[0]} for one)")
        for name, tensor in tensors.items():
            tensor.copy_(saved[name])
        return state

    def _check(self) -> dict[str, Any]:
        """The config of the run in the folder, if this run may continue it."""
        asked = read_config(self.folder)
        if asked is None:
            raise UsageError(f"{self.folder}: nothing to resume, it has no run with a config.json")
        command, limit = asked.get("command", self.command), asked.get("time_limit")
        if not (isinstance(command, str) and (limit is None or is_number(limit))):
            raise UsageError(f"{self.folder}: the settings in its config.json are damaged")
        self.command, self.time_limit = command, self.time_limit or limit
        then = asked["settings"]
        changed = [
            f"{name}={_shown(then.get(name))} (now {_shown(value)})"
            for name, value in self.settings.items()
            if then.get(name) != value
        ]
        if changed:
            raise UsageError(f"{self.folder} was started with {', '.join(changed)}: resume it with the same options")
        for name, digest in self.digests.items():
            if asked.get(name, digest) != digest:  # runs of earlier versions have "data" only
                what, option = WHAT[name]
                raise UsageError(f"{self.folder} was started with other {what}: resume it with the same {option}")
        return asked


def _write(path: Path, text: str) -> None:
    with PartFile(path, force=True) as part:
        part.write_text(text, encoding="utf-8")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    _write(path, json.dumps(content, indent=2) + "\n")


def _shown(value: Any) -> Any:
    return "none" if value == "" else value


def _read_state(text: str) -> State:
    """Read the state from JSON; ValueError if it is not as `save` writes it."""
    content = json.loads(text)
    if not isinstance(content, dict) or not content.keys() <= {field.name for field in fields(State)}:
        raise ValueError("not the state of a run")
    state = State(**content)
    if not (is_whole(state.epoch) and is_number(state.seconds) and state.seconds >= 0 and is_number(state.best)):
        raise ValueError("epoch, seconds or best is not the number of a run")
    if not (isinstance(state.history, list) and all(isinstance(row, dict) for row in state.history)):
        raise ValueError("its history is not a list of rows")
    epochs = [row.get("epoch") for row in state.history]
    if len(epochs) != state.epoch or epochs != list(range(1, len(epochs) + 1)):
        raise ValueError("its history is not that of its epochs")
    if not all(value is None or is_number(value) for row in state.history for value in row.values()):
        raise ValueError("its history is not of numbers")
    return state


def run_tensors(model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of a run by name; not copies, so they are saved in their current state and restored in place.

    The optimiser must have its state, see `init_state`.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for i, parameter in enumerate(parameters):
        tensors |= {f"{name}.{i}": tensor for name, tensor in optimizer.state[parameter].items()}
    return tensors


def git_commit(file: Path = Path(__file__)) -> str | None:
    """The commit of the checkout that this code is in, with a + if it was changed; None outside of one.

    An environment may be inside another project's checkout, which says nothing about the code installed in it.
    """
    git = ["git", "-C", str(file.parent)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", file.name], capture_output=True, timeout=10, check=True)
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", ".."], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+" if changes.stdout else "")
