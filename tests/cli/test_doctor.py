"""`vidclf doctor` on this machine, and what it says of machines where something is wrong."""

from __future__ import annotations

import importlib.metadata

import pytest
from click.testing import CliRunner, Result

from vidclf.cli import doctor


def run() -> Result:
    return CliRunner().invoke(doctor.doctor, standalone_mode=False)


def test_this_machine_is_well():
    result = run()
    assert result.return_value == 0, result.output
    assert result.output.rstrip().endswith("everything works")
    for what in ("Python", "torch", "CUDA", "OpenCV", "PyAV", "hardware encoders", "ffmpeg program", "CPU", "memory"):
        assert f"│ {what}" in result.output
    assert importlib.metadata.version("av") in result.output


@pytest.mark.parametrize(("faster", "bits"), [(True, "bfloat16"), (False, "32 bits")])
def test_the_precision_in_which_networks_run_is_told(faster, bits, only, monkeypatch):
    only("CPU")
    monkeypatch.setattr("vidclf.models.device.is_bf16_faster", lambda: faster)
    assert f"cores, networks in {bits};" in run().output


@pytest.fixture
def only(monkeypatch):
    """Let doctor make one of its checks."""

    def choose(name: str):
        monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name]})

    return choose


def test_a_torch_that_torchvision_was_not_built_for(only, monkeypatch):
    import torchvision

    def nms(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    only("torch")
    monkeypatch.setattr(torchvision.ops, "nms", nms)
    result = run()
    assert result.return_value == 1
    advice = result.output.splitlines()[-2]
    assert advice.startswith("- torch: torch 2.15.") and "do not match" in advice
    wanted = {name: doctor._requirement(name) for name in ("torch", "torchvision")}
    assert advice.endswith(f'pip install --force-reinstall "{wanted["torch"]}" "{wanted["torchvision"]}"')
    assert set(wanted["torch"].removeprefix("torch").split(",")) == {">=2.15", "<2.16"}


def test_a_gpu_that_torch_was_not_made_for(only, monkeypatch):
    import torch

    only("CUDA")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("vidclf.models.device.lack_of_kernels", lambda number: ["", "torch is not made for it"][number])
    result = run()
    assert result.return_value == 1
    advice = "install a build of torch that is, see https://pytorch.org, or add --device cpu"
    assert f"- CUDA: torch is not made for it; {advice}\n" in result.output


def test_an_opencv_without_its_system_libraries(only, monkeypatch):
    def check():
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    only("OpenCV")
    monkeypatch.setitem(doctor.CHECKS, "OpenCV", check)
    result = run()
    assert result.return_value == 1
    assert "apt-get install libgl1" in result.output
    assert result.output.rstrip().endswith("1 problem(s) found")


def test_a_missing_package_is_a_problem_and_a_missing_extra_is_not():
    with pytest.raises(doctor.Problem, match=r'pip install "no-such-package"'):
        doctor._installed("no-such-package", "nothing")()
    assert doctor._installed("no-such-package", "nothing", optional=True)() == "not installed (nothing)"


def test_without_the_ffmpeg_program_all_but_one_writer_works(only, monkeypatch):
    only("ffmpeg program")
    monkeypatch.setenv("PATH", "")
    result = run()
    assert result.return_value == 0
    assert "not on the PATH" in result.output


def test_a_cache_that_takes_no_files(only, monkeypatch, tmp_path):
    only("cache")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path / "file" / "cache"))
    result = run()
    assert result.return_value == 1
    said = f"- cache: cannot write to {tmp_path}/file/cache: Not a directory; "
    assert f"{said}set VIDCLF_CACHE to use another folder\n" in result.output


def test_a_package_without_its_files(only, monkeypatch, tmp_path):
    only("vidclf")
    monkeypatch.setattr(doctor, "shipped", lambda kind: tmp_path)
    result = run()
    assert result.return_value == 1
    assert "the package is missing its weights, pipelines, samples; reinstall it" in result.output
