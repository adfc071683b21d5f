"""Trainings of small networks, for tests."""

from __future__ import annotations

from pathlib import Path

from vidclf.training.config import Config
from vidclf.training.loop import train
from vidclf.training.progress import Progress

SMALL = Config(epochs=3, batch=32, lr=0.05, warmup=0.5, ema=0.9, validation=0.1, seed=5)


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
