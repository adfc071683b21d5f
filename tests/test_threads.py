import os
from pathlib import Path

import pytest

from vidclf import threads
from vidclf.errors import UsageError


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("VIDCLF_THREADS", "")  # set, so that it is put back


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (1, {"detector": 1, "classifier": 1, "opencv": 1, "decoder": 1, "encoder": 1}),
        (2, {"detector": 2, "classifier": 2, "opencv": 1, "decoder": 2, "encoder": 2}),
        (16, {"detector": 16, "classifier": 4, "opencv": 1, "decoder": 4, "encoder": 4}),
        (128, {"detector": 32, "classifier": 4, "opencv": 1, "decoder": 4, "encoder": 4}),
    ],
)
def test_the_division_on_small_and_large_machines(cores: int, expected: dict[threads.Part, int]) -> None:
    threads.set_threads(cores)
    assert {part: threads.threads(part) for part in expected} == expected
    assert threads.describe().startswith(f"{expected['detector']} threads for detector, ")


def test_the_users_word_counts_most(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(os, "sched_getaffinity"):
        assert 1 <= threads.cores() <= len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.cores() == 3
    threads.set_threads(5)
    assert threads.cores() == 5
    for name in ("²", "0", "-1", "many"):  # the first is a digit, but no number
        monkeypatch.setenv("VIDCLF_THREADS", name)
        assert threads.cores() == 3
    monkeypatch.setenv("VIDCLF_THREADS", "9" * 5000)
    assert threads.cores() == 1024
    with pytest.raises(UsageError, match="threads must be 1 to 1024, got 0"):
        threads.set_threads(0)


@pytest.mark.parametrize(
    ("text", "cores"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_a_containers_share_of_time_is_so_many_cores(tmp_path: Path, text: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert threads._quota(tmp_path / "cpu.max") == cores


def test_no_container_no_limit(tmp_path: Path) -> None:
    assert threads._quota(tmp_path / "none") is None
