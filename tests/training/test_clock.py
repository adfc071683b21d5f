import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.runs import run
from vidclf.errors import UsageError
from vidclf.models import load
from vidclf.training.config import Config
from vidclf.training.progress import Progress


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
    # There are two looks at the clock before the first step, and three in each: one to go on, two for what is left.
    steps = [text for text in said if "step" in text]
    assert steps == ["epoch 1, step 1 of 8, 2 s left", "epoch 1, step 2 of 8, 0 s left"]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
