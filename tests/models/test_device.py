from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from vidclf.errors import UsageError
from vidclf.models import device
from vidclf.models.device import (
    check_device,
    choose_device,
    choose_devices,
    is_bf16_faster,
    lack_of_kernels,
    mixed_precision,
    torch_threads,
)


def test_auto_is_a_device_that_is_there() -> None:
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_other_words_are_refused_with_the_choices(word: str) -> None:
    with pytest.raises(UsageError, match="device must be auto, cpu, cuda or cuda:N"):
        check_device(word)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert check_device("cuda:99") == "cuda:99"
    with pytest.raises(UsageError, match=r"device cuda:99 does not exist: \d+ CUDA device"):
        choose_device("cuda:99")


COMPILED = ["sm_75", "sm_80", "sm_86", "sm_90a", "sm_120"]  # torch 2.15 for CUDA 13, about


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The compute capabilities of the GPUs that torch finds."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: COMPILED)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: found[number])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    device._warn_once.cache_clear()
    return found


def test_a_gpu_that_torch_is_not_compiled_for_is_not_used(
    gpus: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """torch says that it is available, and the first operation fails."""
    gpus += [(6, 1), (8, 9)]
    fault = (
        f"torch {torch.__version__} is not made for GPU 0 (compute capability 6.1; it is for 7.5, 8.0, 8.6, 9.0, 12.0)"
    )
    assert [choose_device("auto"), choose_device("auto")] == ["cpu", "cpu"]
    assert caplog.messages == [f"the networks run on the CPU: {fault}"]
    assert choose_devices("cuda:1") == ["cuda:1"]
    for chosen in ("cuda", "cuda:0", "cuda:1,0"):
        with pytest.raises(UsageError) as raised:
            choose_devices(chosen)
        assert str(raised.value) == f"device {chosen} cannot be used: {fault}"


@pytest.mark.parametrize(
    ("capability", "runs"),
    [((7, 0), False), ((7, 5), True), ((8, 9), True), ((10, 0), False), ((11, 0), False), ((12, 1), True)],
)
def test_code_for_a_gpu_runs_on_later_ones_of_its_major_version(
    capability: tuple[int, int], runs: bool, gpus: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.append(capability)
    assert (lack_of_kernels(0) == "") is runs
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: [*COMPILED, "compute_90"])
    assert (lack_of_kernels(0) == "") is (runs or capability > (9, 0))
    monkeypatch.setattr(torch.version, "cuda", None)  # an AMD GPU
    assert lack_of_kernels(0) == ""


def test_a_thread_that_starts_late_is_not_given_the_threads_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A classifier that takes half of the cores must not slow a detector down that begins after it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    began, seen, over = Event(), {}, Event()

    def classifier() -> None:
        with torch_threads("detector", share=0.5):
            began.set()
            over.wait(10)
            seen["classifier"] = torch.get_num_threads()

    def detector() -> None:
        began.wait(10)
        with torch_threads("detector"):
            seen["detector"] = torch.get_num_threads()
        over.set()

    before = torch.get_num_threads()
    threads = [Thread(target=classifier), Thread(target=detector)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == {"classifier": 2, "detector": 4}
    assert torch.get_num_threads() == before
    torch.set_num_threads(before)  # for whoever comes next: the process now hands out four


def test_on_one_core_there_is_still_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    try:
        with torch_threads("detector", share=0.5):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("GenuineIntel", "avx512f avx512_bf16 avx512_fp16", False),  # measured: 38 ms a picture, in 32 bits 27
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
    ],
)
def test_bfloat16_is_used_where_the_cpu_is_faster_with_it(
    vendor: str, flags: str, faster: bool, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\n")
    assert is_bf16_faster(cpuinfo) is faster
    assert not is_bf16_faster(tmp_path / "none")  # of another system


@pytest.mark.parametrize("faster", [True, False])
def test_only_then_is_it_used(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.models.device.is_bf16_faster", lambda: faster)
    ones = torch.ones(2, 2)
    with mixed_precision("cpu"):
        assert (ones @ ones).dtype == (torch.bfloat16 if faster else torch.float32)
