"""Detectors for OpenVINO: converted, or exported by ultralytics; `stages/test_yolo.py` loads and downloads some."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.models.conftest import PEOPLE, SOME, pictures
from vidclf.errors import UsageError
from vidclf.models.detector import Detector, open_detector
from vidclf.models.exported_detector import ExportedDetector
from vidclf.models.openvino_detector import converted_to_openvino, exported
from vidclf.models.openvino_runtime import openvino_core, openvino_settings
from vidclf.models.ultralytics_model import load_detector


def test_the_sum_that_stays_in_32_bits_is_the_mean_distance_of_ultralytics() -> None:
    import torch
    from ultralytics.nn.modules import DFL

    from vidclf.models.openvino_conversion import expected_distance

    distances = torch.randn(2, 4 * 16, 21, generator=torch.Generator().manual_seed(0)) * 4
    dfl = DFL(16)
    assert torch.allclose(expected_distance(dfl, distances), dfl(distances), atol=1e-5)


def test_a_first_layer_on_four_pixels_at_a_time_gives_what_the_layer_gives() -> None:
    import torch
    from ultralytics.nn.modules import Conv

    from vidclf.models.openvino_conversion import Bytes, FoldedBytes

    layer = Conv(3, 16, 3, 2)
    layer.conv = torch.nn.Conv2d(3, 16, 3, 2, 1)
    assert not FoldedBytes.fits(layer)  # not yet fused with its normalisation
    del layer.bn
    layer.forward, layer.i, layer.f, layer.type = layer.forward_fuse, 0, -1, "Conv"
    assert FoldedBytes.fits(layer)
    dice = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (1, 32, 64, 3), dtype=torch.uint8, generator=dice)
    with torch.inference_mode():
        wanted, folded = layer(picture.flip(-1).permute(0, 3, 1, 2) / 255), FoldedBytes(layer)
        assert torch.allclose(folded(picture), wanted, atol=1e-5)
        assert torch.allclose(Bytes(layer)(picture), wanted, atol=1e-5)
        layer.conv.bias = None  # of another kind: its weights stay
        assert not FoldedBytes.fits(layer)
        assert Bytes(layer).white == 255


def test_a_network_leaves_out_the_boxes_below_a_confidence_and_no_other(tmp_path: Path) -> None:
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO("yolo11n.yaml")
    for module in model.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    picture = pictures(1, 160, 96)
    # The statistics of one batch: else an untrained network gives the same scores everywhere.
    model.model.train()(torch.from_numpy(np.stack(picture * 2)).permute(0, 3, 1, 2) / 255)
    for branch in model.model.model[-1].cv3:
        branch[-1].weight.data *= 0.001
    model.save(tmp_path / "random.pt")
    network = converted_to_openvino(tmp_path / "random.pt", "f32")
    ((everything,),) = network.start(picture)()
    best = everything[4:].max(axis=0)
    assert len(np.unique(best)) > 200
    for middle in np.quantile(best, (0.5, 0.9)):
        ((some,),) = network.start(picture, float(middle))()
        wanted, found = everything[:, best > middle], some[:, some[4:].max(axis=0) > middle]
        assert 0 < found.shape[1] <= some.shape[1] < everything.shape[1]
        assert np.array_equal(found, wanted)
    ((none,),) = network.start(picture, 1.0)()
    assert none.shape == (len(everything), 0)


def test_the_last_convolutions_of_the_boxes_stay_in_32_bits(weights: str, tmp_path: Path) -> None:
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("needs a CPU with bfloat16")
    model = load_detector(weights)
    from vidclf.models.openvino_conversion import to_openvino

    to_openvino(model, tmp_path / "network.xml")
    compiled = core.compile_model(tmp_path / "network.xml", "CPU", openvino_settings("bf16", 2))
    details = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    exact = [
        found["originalLayersNames"].astype(str)
        for found in details
        if found["layerType"].astype(str) == "Convolution" and found["runtimePrecision"].astype(str) == "f32"
    ]
    assert len(exact) == 3
    assert all(f"cv2.{scale}.2/" in name for scale, name in enumerate(sorted(exact)))


def test_a_model_for_large_pictures_is_converted_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its stride is 64, by which the picture of the trace could not be divided; it always ran on torch."""
    from ultralytics import YOLO

    model = YOLO("yolov5n-p6.yaml")
    model.save(tmp_path / "p6.pt")
    detector = open_detector(str(tmp_path / "p6.pt"), "cpu", "openvino", "f32", 128)
    assert isinstance(detector, Detector)
    detector.start(pictures(1), PEOPLE)()
    assert detector.name == "openvino f32" and caplog.records == []


def test_a_model_for_grey_pictures_is_refused_in_words(tmp_path: Path) -> None:
    """Frames are coloured; the run ended with an error of torch."""
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    model = YOLO("yolo11n.yaml")
    model.model = DetectionModel("yolo11n.yaml", ch=1, verbose=False)
    model.save(tmp_path / "grey.pt")
    with pytest.raises(UsageError, match=r"grey\.pt takes pictures of 1 channel\(s\); a model for colour pictures"):
        load_detector(str(tmp_path / "grey.pt"))


@pytest.fixture(scope="module")
def folder(weights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as ultralytics exports it for OpenVINO."""
    copy = tmp_path_factory.mktemp("exported") / "random.pt"
    copy.write_bytes(Path(weights).read_bytes())
    return Path(load_detector(str(copy)).export(format="openvino", imgsz=160, verbose=False))


def test_an_exported_model_finds_what_it_finds_in_ultralytics(folder: Path) -> None:
    detector = open_detector(str(folder), "cpu", "auto", "f32", 640)
    assert isinstance(detector, Detector) and detector.name == "openvino f32"
    for count, width, height in ((1, 160, 90), (4, 90, 33)):
        images = pictures(count, width, height)
        wanted = ExportedDetector(str(folder), "cpu", 160).start(images, SOME)()
        for one, other in zip(wanted, detector.start(images, SOME)(), strict=True):
            assert np.allclose(np.sort(one.scores), np.sort(other.scores), atol=1e-3)
            assert (one.masks is None) == (other.masks is None)
    assert detector.names[1] == "tie"


def test_by_itself_an_exported_model_runs_on_the_cpu_beside_a_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.models.detector.choose_devices", lambda device: [device.replace("auto", "cuda")])
    assert open_detector(str(folder), "auto", "auto", "f32", 160).name == "openvino f32"  # type: ignore[union-attr]


def test_a_precision_that_is_not_there_is_refused_for_an_exported_model_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.models.openvino_runtime.openvino_precisions", lambda: ["f32"])
    with pytest.raises(UsageError, match=r"^precision bf16: openvino has only f32 on this machine$"):
        open_detector(str(folder), "cpu", "auto", "bf16", 160)


def test_an_exported_model_of_another_kind_is_left_to_ultralytics(folder: Path, tmp_path: Path) -> None:
    assert exported(tmp_path, "f32") is None
    (tmp_path / "network.xml").write_text("not a network")
    assert exported(tmp_path, "f32") is None  # without its metadata
    told = (folder / "metadata.yaml").read_text()
    (tmp_path / "metadata.yaml").write_text(told)
    with pytest.raises(UsageError, match="is not a detector that OpenVINO can load: "):
        exported(tmp_path, "f32")
    for file in folder.glob("*.*[nl]"):
        (tmp_path / file.with_stem("network").name).write_bytes(file.read_bytes())
    assert exported(tmp_path, "f32") is not None
    (tmp_path / "metadata.yaml").write_text(told.replace("- 160", "- 320"))
    assert exported(tmp_path, "f32") is None  # of another size


def test_people_are_those_that_ultralytics_finds_with_an_exported_model(shared: Path) -> None:
    import cv2

    path = str(shared / "detectors/yolo11n_int8_openvino_model")
    video = cv2.VideoCapture(str(shared / "clips/pets09_s2l1_480x360.mp4"))
    ours, theirs = open_detector(path, "cpu", "auto", "f32", 640), ExportedDetector(path, "cpu", 640)
    images = [video.read()[1] for _ in range(4)]
    for one, other in zip(theirs.start(images, PEOPLE)(), ours.start(images, PEOPLE)(), strict=True):
        assert len(one.boxes) == len(other.boxes) > 2
        assert np.allclose(one.boxes, other.boxes, atol=0.5)
        assert np.allclose(one.scores, other.scores, atol=0.01)


def test_an_export_that_does_not_tell_its_kind_of_boxes_is_left_to_ultralytics(weights: str, tmp_path: Path) -> None:
    shutil.copy(weights, tmp_path / "random.pt")
    model = load_detector(str(tmp_path / "random.pt"))
    folder = Path(model.export(format="openvino", imgsz=160, nms=True, verbose=False))
    assert exported(folder, "f32") is not None
    told = (folder / "metadata.yaml").read_text()
    (folder / "metadata.yaml").write_text(told.replace("nms: true", "nms: false"))
    if model.task != "detect":
        return
    assert exported(folder, "f32") is None
    # An RT-DETR's 300 boxes were read as 296 classes: people were lost, or the run ended.
    with (folder / "metadata.yaml").open("a") as file:
        file.write("\nhead: RTDETRDecoder\n")
    network = exported(folder, "f32")
    assert network and network.spec.nms_free and network.spec.stretches
