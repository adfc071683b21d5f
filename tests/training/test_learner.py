from pathlib import Path

import pytest

from tests.idx import write_bars
from tests.runs import run
from vidclf.errors import UsageError
from vidclf.training.config import Config


def test_one_crop_is_too_little(tmp_path: Path) -> None:
    one = write_bars(tmp_path / "one", train=1, test=10)
    with pytest.raises(UsageError, match=r"^too few training pictures: 1, at least 2 are needed$"):
        run(tmp_path / "run", one, Config(model="v1"))
    assert not (tmp_path / "run").exists()


def test_a_handful_of_crops_suffices_for_batch_normalisation(tmp_path: Path) -> None:
    few = write_bars(tmp_path / "few", train=10, test=10)
    run(tmp_path / "run", few, Config(model="resnet18", epochs=1))
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
