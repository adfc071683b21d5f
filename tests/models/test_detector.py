"""One detector on torch and on OpenVINO: the same boxes, and torch where OpenVINO goes wrong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.models.conftest import PEOPLE, SOME, pictures
from vidclf.errors import UsageError
from vidclf.models import backends, exported_detector, networks, onnx_detector
from vidclf.models.detector import Detector, open_detector
from vidclf.models.exported_detector import ExportedDetector, _check_exporters
from vidclf.models.onnx_runtime import ProviderError
from vidclf.models.selection import Found
from vidclf.models.ultralytics_model import load_detector
from vidclf.stages.yolo import to_detections
from vidclf.threads import threads

NAMES = {"torch": "torch f32 on cpu", "openvino": "openvino f32", "onnx": "onnx on cpu"}  # of a detector in f32


def boxes(results: list[Found]) -> list[np.ndarray]:
    return [found.boxes for found in results]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ours: ultralytics writes much about an export, if a test has imported it before vidclf, which silences it."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("vidclf")]


def by_ultralytics(weights: str, images: list[np.ndarray]) -> list[Found]:
    """What `YOLO.predict` finds."""
    return ExportedDetector(weights, "cpu", 160).start(images, SOME)()


def need(backend: str) -> None:
    """Skip the test if the optional packages of a backend are missing."""
    if backend == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnx"])
def test_the_boxes_are_those_of_ultralytics_whatever_runs_the_network(
    weights: str, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    need(backend)
    with caplog.at_level(logging.WARNING, "vidclf"):
        detector = open_detector(weights, "cpu", backend, "f32", 160)
        for count, width, height in ((1, 160, 90), (4, 160, 90), (2, 90, 160), (1, 90, 33)):
            images = pictures(count, width, height)
            found = detector.start(images, SOME)()
            assert len(found) == count
            for one, other in zip(by_ultralytics(weights, images), found, strict=True):
                assert len(one.boxes) == len(other.boxes) == 20
                # The scores of noise are all alike, and boxes of one score may change places.
                assert np.allclose(np.sort(one.scores), np.sort(other.scores), atol=1e-4)
                if backend == "torch":
                    assert np.allclose(one.boxes, other.boxes, atol=1e-3) and np.array_equal(one.kinds, other.kinds)
                assert (one.masks is None) == (other.masks is None)
    assert detector.name == NAMES[backend]
    assert detector.names[1] == "tie"
    assert warnings_in(caplog) == []


def test_masks_are_those_of_ultralytics(weights: str) -> None:
    """Ours are interpolated once, not twice, so their borders may be a pixel apart."""
    images = pictures(2, 150, 90)
    ours = open_detector(weights, "cpu", "torch", "f32", 160).start(images, SOME)()
    for image, one, other in zip(images, by_ultralytics(weights, images), ours, strict=True):
        for a, b in zip(
            *(to_detections(found, image, dict.fromkeys(range(80), "")) for found in (one, other)), strict=True
        ):
            assert a.box == b.box
            if a.mask is not None and b.mask is not None and a.mask.size > 400:
                assert (a.mask == b.mask).mean() > 0.9


COLD = """
import sys
from tests.models.conftest import SOME, pictures
from vidclf.models.detector import open_detector
detector = open_detector(sys.argv[1], "cpu", sys.argv[2], "f32", 160)
(found,) = detector.start(pictures(1), SOME)()
assert len(found.boxes) == 20 and detector.name == sys.argv[3] and detector.names[1] == "tie"
print(sorted({"torch", "torchvision", "ultralytics"} & set(sys.modules)))
"""


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_once_the_network_is_in_the_cache_torch_is_not_needed(weights: str, backend: str, tmp_path: Path) -> None:
    """Neither is imported, which takes seconds and hundreds of megabytes."""
    need(backend)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "VIDCLF_CACHE": str(tmp_path)}
    for imported in (["torch", "torchvision", "ultralytics"], []):
        command = [sys.executable, "-c", COLD, weights, backend, NAMES[backend]]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert (run.stdout.strip(), run.returncode) == (str(imported), 0), run.stderr


def fails(*_: object) -> None:
    raise RuntimeError("no such\noperation")


def warning_of(detector: Detector, caplog: pytest.LogCaptureFixture, precision: str = "f32") -> str:
    with caplog.at_level(logging.WARNING, "vidclf"):
        for _ in range(2):
            detector.start(pictures(2), PEOPLE)()
    assert detector.name == f"torch {precision} on cpu"
    (message,) = warnings_in(caplog)
    return message


def let_openvino_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    works = networks.Requests._finish

    def other(*request: Any) -> list[networks.Outputs]:
        return [tuple(output + 0.5 for output in outputs) for outputs in works(*request)]

    monkeypatch.setattr(networks.Requests, "_finish", other)


def test_openvino_that_disagrees_on_the_first_picture_gives_way_to_torch(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let_openvino_disagree(monkeypatch)
    detector = open_detector(weights, "cpu", "auto", "f32", 160)
    assert "does not run on openvino, using torch instead: its scores differ from torch's by " in (
        warning_of(detector, caplog)
    )


def test_onnx_runtime_that_disagrees_on_the_first_picture_gives_way_to_torch(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It ran whatever it computed, and ended the run if it failed."""
    need("onnx")
    works = networks.OnnxNetwork._run

    def other(*request: Any) -> list[networks.Outputs]:
        return [(boxes + 0.5, *masks) for boxes, *masks in works(*request)]

    monkeypatch.setattr(networks.OnnxNetwork, "_run", other)
    told = warning_of(open_detector(weights, "cpu", "onnx", "f32", 160), caplog)
    assert "does not run on onnx, using torch instead: its scores differ from torch's by " in told


def test_onnx_runtime_that_fails_later_gives_way_to_torch_too(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    need("onnx")
    detector = open_detector(weights, "cpu", "onnx", "f32", 160)
    detector.start(pictures(2), PEOPLE)()
    monkeypatch.setattr(networks.OnnxNetwork, "_run", fails)
    assert warning_of(detector, caplog).endswith("does not run on onnx, using torch instead: no such operation")
    torch = open_detector(weights, "cpu", "torch", "f32", 160)
    for one, other in zip(*(boxes(each.start(pictures(2), PEOPLE)()) for each in (detector, torch)), strict=True):
        assert np.array_equal(one, other)


def test_what_was_under_way_when_openvino_gave_way_is_done_by_torch(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let_openvino_disagree(monkeypatch)
    detector = open_detector(weights, "cpu", "openvino", "f32", 160)
    under_way = [detector.start([picture], SOME) for picture in pictures(3)]
    found = [boxes(finish()) for finish in under_way]
    torch = open_detector(weights, "cpu", "torch", "f32", 160)
    for picture, [some] in zip(pictures(3), found, strict=True):
        assert np.array_equal(some, boxes(torch.start([picture], SOME)())[0])
    assert len(caplog.records) == 1


def test_damaged_weights_in_the_cache_are_found_and_made_anew(
    weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Zeros in the branch of the boxes changed no score, so that wrong boxes passed."""
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    open_detector(weights, "cpu", "openvino", "f32", 160)
    (network,) = tmp_path.rglob("network.bin")
    content = bytearray(network.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    network.write_bytes(content)
    damaged = open_detector(weights, "cpu", "openvino", "f32", 160)
    assert warning_of(damaged, caplog).endswith("using torch instead: its network.bin in the cache was damaged")
    assert open_detector(weights, "cpu", "openvino", "f32", 160).name == "openvino f32"


def test_a_network_that_disagrees_is_not_made_again_by_every_run(
    weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    let_openvino_disagree(monkeypatch)
    warning_of(open_detector(weights, "cpu", "openvino", "f32", 160), caplog)
    monkeypatch.setattr("vidclf.models.openvino_conversion.to_openvino", fails)
    assert open_detector(weights, "cpu", "openvino", "f32", 160).name == "openvino f32"


def test_a_runtime_that_has_no_such_device_gives_way_to_torch(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> None:
        raise ProviderError("no GPU")

    monkeypatch.setattr("vidclf.models.detector.converted_to_onnx", missing)
    detector = open_detector(weights, "cpu", "onnx", "f32", 160)
    assert warning_of(detector, caplog).endswith("does not run on onnx, using torch instead: no GPU")


def test_a_runtime_that_is_older_than_the_format_gives_way_to_torch(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The run ended with exit code 2, as if the weights were to blame."""
    need("onnx")

    def refuse(*_: object) -> None:
        raise UsageError("unsupported model IR version")

    monkeypatch.setattr(onnx_detector, "onnx_session", refuse)
    told = warning_of(open_detector(weights, "cpu", "onnx", "f32", 160), caplog)
    assert told.endswith("does not run on onnx, using torch instead: unsupported model IR version")


def test_torch_uses_the_detectors_threads_after_another_runtime_failed(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used as many as another thread had happened to set last."""
    import torch

    monkeypatch.setenv("VIDCLF_THREADS", "2")
    detector = open_detector(weights, "cpu", "openvino", "f32", 160)
    monkeypatch.setattr(networks.Requests, "start", fails)
    used = []
    begin = networks.TorchNetwork.start

    def start(self: networks.TorchNetwork, *batch: Any) -> Callable[[], list[np.ndarray]]:
        used.append(torch.get_num_threads())
        return begin(self, *batch)

    monkeypatch.setattr(networks.TorchNetwork, "start", start)
    torch.set_num_threads(1)
    detector.start(pictures(1), PEOPLE)()
    assert used == [threads("detector")] != [1]


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_model_that_cannot_be_converted_runs_on_torch(
    precision: str, weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    monkeypatch.setattr("vidclf.models.openvino_conversion.to_openvino", fails)
    monkeypatch.setattr("vidclf.models.openvino_runtime.openvino_precisions", lambda: ["f32", "bf16"])
    detector = open_detector(weights, "cpu", "auto", precision, 160)
    assert warning_of(detector, caplog, precision).endswith("using torch instead: no such operation")


def test_an_export_that_fails_leaves_torch_in_the_precision_that_was_asked_for(
    weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    monkeypatch.setattr(onnx_detector, "check_exporters", lambda _: None)
    monkeypatch.setattr(onnx_detector, "version", lambda _: "1")
    monkeypatch.setattr(onnx_detector, "export", fails)
    monkeypatch.setattr(networks, "is_bf16_faster", lambda: True)
    for precision, used in (("f32", "f32"), ("auto", "bf16")):
        assert open_detector(weights, "cpu", "onnx", precision, 160).name == f"torch {used} on cpu"
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("precision", "tensorrt", "missing", "install"),
    [
        ("f32", "11.4.0", "onnx", "onnx"),
        ("auto", "11.4.0", "modelopt", '"tensorrt<11", or "nvidia-modelopt[onnx]>=0.44"'),
        ("f32", "11.4.0", "modelopt", None),
        ("f16", "10.16.1.11", "modelopt", None),
    ],
)
def test_a_package_that_an_export_needs_is_missed_before_it_begins(
    precision: str, tensorrt: str, missing: str, install: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_detector, "version", lambda _: tensorrt)
    monkeypatch.setattr(backends, "find_spec", lambda package: None if package == missing else package)
    told = None
    try:
        _check_exporters(precision)
    except RuntimeError as error:
        told = str(error)
    wanted = f"its export needs {missing}, which is not installed: pip install {install}"
    assert told == (wanted if install else None)


def test_an_exported_model_keeps_its_task(weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A segmentation model ran as one without masks, whose classes were numbers that do not exist."""
    need("onnx")
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path))
    open_detector(weights, "cpu", "onnx", "f32", 160)
    (file,) = tmp_path.rglob("model.onnx")
    file = file.rename(tmp_path / "renamed.onnx")
    task = load_detector(weights).task
    images = pictures(2, 160, 160)
    for name in (task, None):  # from its metadata
        detector = ExportedDetector(str(file), "cpu", 160, name)
        assert detector._model.task == task
        for image, one in zip(images, by_ultralytics(weights, images), strict=True):
            (other,) = detector.start([image], SOME)()
            assert np.allclose(np.sort(one.scores), np.sort(other.scores), atol=1e-3)
            assert (one.masks is None) == (other.masks is None) == (task == "detect")


@pytest.mark.parametrize(
    ("device", "providers", "warns"),
    [
        ("cuda", ["CPUExecutionProvider"], True),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"], False),
        ("cpu", ["CPUExecutionProvider"], False),
    ],
)
def test_an_onnx_file_that_cannot_use_the_gpu_says_so(
    device: str, providers: list[str], warns: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = SimpleNamespace(get_providers=lambda: providers)
    model = SimpleNamespace(names={}, predictor=SimpleNamespace(model=SimpleNamespace(session=session)))
    monkeypatch.setattr(exported_detector, "load_detector", lambda *_: model)
    ExportedDetector("a.onnx", device, 160)
    told = "a.onnx runs on the CPU: ONNX Runtime cannot use the GPU (pip install onnxruntime-gpu)"
    assert caplog.messages == ([told] if warns else [])


def test_a_gpu_begins_with_the_next_pictures_before_the_last_ones_are_fetched(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = open_detector(weights, "cpu", "torch", "f32", 160)
    batches = [pictures(2), pictures(3, 90, 160), pictures(1)]
    wanted = [boxes(detector.start(images, SOME)()) for images in batches]
    detector._pool = None  # as on a GPU
    assert detector.on_gpu and detector.most_under_way > 1000
    fetched: list[int] = []
    begin = networks.TorchNetwork.start

    def start(self: networks.TorchNetwork, batch: np.ndarray, confidence: float) -> Callable[[], list[np.ndarray]]:
        finish = begin(self, batch, confidence)
        return lambda: (fetched.append(len(batch)), finish())[1]

    monkeypatch.setattr(networks.TorchNetwork, "start", start)
    under_way = [detector.start(images, SOME) for images in batches]
    assert fetched == []
    found = [boxes(finish()) for finish in under_way]
    assert fetched == [2, 3, 1]
    for some, others in zip(found, wanted, strict=True):
        for one, other in zip(some, others, strict=True):
            assert np.allclose(one, other, atol=1e-2)


def test_a_model_that_wants_stretched_pictures_gets_them(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RT-DETR's boxes were shifted, as it was given a letterbox."""
    monkeypatch.setattr("ultralytics.engine.predictor.BasePredictor.scale_fill", True)
    assert open_detector(weights, "cpu", "torch", "f32", 160)._letterbox.fit(pictures(1)[0]).shape == (160, 160, 3)


def test_what_cannot_be_is_told(shared: Path) -> None:
    exported = str(shared / "detectors/yolo11n_int8_openvino_model")
    with pytest.raises(
        UsageError, match=r"is an exported model with its own runtime; --backend is only for \.pt files"
    ):
        open_detector(exported, "cpu", "torch", "auto", 640)
    with pytest.raises(UsageError, match="backend tensorrt needs a CUDA device"):
        open_detector(str(shared / "detectors/yolo11n.pt"), "cpu", "tensorrt", "auto", 640)


@pytest.mark.parametrize(
    ("backend", "precision", "words"),
    [
        ("auto", "bf16", "precision bf16: openvino has only f32 on this machine"),
        ("openvino", "f16", "precision f16: openvino has only f32 on this machine"),
        ("onnx", "bf16", "precision bf16: onnx has only f32 on this machine"),
    ],
)
def test_a_precision_that_is_not_there_is_refused(
    weights: str, backend: str, precision: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO computed in 32 bits, and its name said 16."""
    monkeypatch.setattr("vidclf.models.openvino_runtime.openvino_precisions", lambda: ["f32"])
    with pytest.raises(UsageError) as raised:
        open_detector(weights, "cpu", backend, precision, 160)
    assert str(raised.value) == words
    assert open_detector(weights, "cpu", "torch", precision, 160).name == f"torch {precision} on cpu"


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_real_people_have_the_same_boxes_in_fewer_bits(shared: Path, backend: str) -> None:
    """PETS09-S2L1 at 960x720, every 100th frame: at most one box of a hundred may differ."""
    import cv2
    from supervision import box_iou_batch

    video = cv2.VideoCapture(str(shared / "clips/pets09_s2l1_480x360.mp4"))
    exact = open_detector(str(shared / "detectors/yolo11n.pt"), "cpu", "torch", "f32", 640)
    fast = open_detector(str(shared / "detectors/yolo11n.pt"), "cpu", backend, "auto", 640)
    same = total = 0
    for index in range(0, 795, 100):
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        image = cv2.resize(video.read()[1], (960, 720))
        one, other = (boxes(detector.start([image], PEOPLE)())[0] for detector in (exact, fast))
        total += len(one)
        same += int((box_iou_batch(one, other).max(axis=1, initial=0) >= 0.9).sum())
    assert total > 25
    assert same >= total - 1
