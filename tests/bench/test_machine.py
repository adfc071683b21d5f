from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from vidclf.bench.machine import _gpu, _processor, describe

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu avx512f avx512_bf16

processor\t: 1
model name\t: another
"""


def test_a_processor_is_told_from_others_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    assert _processor(tmp_path / "cpuinfo") == "AMD EPYC (family 25, model 17, avx512_bf16)"


def test_a_processor_without_a_name_has_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("Processor: v8\n")
    known = {platform.processor() or platform.machine()}
    assert {_processor(tmp_path / "cpuinfo"), _processor(tmp_path / "none")} == known


def test_the_machine_is_described_in_plain_values() -> None:
    machine = describe()
    assert machine["cores"] >= 1 and machine["memory_gib"] > 0
    assert {"vidclf", "numpy", "torch"} <= machine["libraries"].keys()


@pytest.mark.parametrize(
    ("printed", "gpu"),
    [
        ("NVIDIA L4\n", "NVIDIA L4"),
        ("NVIDIA L4\nNVIDIA L4\nNVIDIA T400\n", "2 x NVIDIA L4, NVIDIA T400"),
        ("", ""),
    ],
)
def test_gpus_are_named_in_one_line(printed: str, gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has a line for a machine."""
    done = subprocess.CompletedProcess([], 0, printed)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert _gpu() == gpu
