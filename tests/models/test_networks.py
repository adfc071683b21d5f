"""The networks themselves: in how many bits they compute, and for which sizes of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.conftest import SOME, pictures
from vidclf.models import networks
from vidclf.models.detector import open_detector
from vidclf.models.networks import Outputs, Requests, TorchNetwork
from vidclf.models.openvino_detector import converted_to_openvino
from vidclf.models.ultralytics_model import load_detector


def test_a_detector_without_yolos_head_stays_in_32_bits_and_says_so(
    weights: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(networks, "keep_boxes_exact", lambda _: False)
    assert open_detector(weights, "cpu", "torch", "auto", 160).name == "torch f32 on cpu"
    assert caplog.records == []
    assert open_detector(weights, "cpu", "torch", "bf16", 160).name == "torch f32 on cpu"
    assert "runs in f32" in caplog.text


def test_boxes_are_measured_in_32_bits_whatever_the_rest_is(weights: str) -> None:
    """With all of it in bfloat16 the corners are up to pixels off, as numbers beyond 256 are even ones only."""
    images = pictures(2, 640, 480)
    exact, fast = (open_detector(weights, "cpu", "torch", precision, 640) for precision in ("f32", "bf16"))
    assert (exact.name, fast.name) == ("torch f32 on cpu", "torch bf16 on cpu")
    outputs = [network.start(np.stack(images))()[0][:, :4] for network in (exact._torch[0], fast._torch[0])]
    assert outputs[1].dtype == outputs[0].dtype
    assert np.abs(outputs[0] - outputs[1]).max() < 0.5
    assert all(len(found.boxes) for found in fast.start(images, SOME)())


def test_outputs_that_16_bits_cannot_hold_are_computed_in_32(weights: str, caplog: pytest.LogCaptureFixture) -> None:
    """On a GTX 16xx they are NaN, of which no score is high enough: nothing was found."""
    batch = np.stack(pictures(2, 160, 96))
    wanted = open_detector(weights, "cpu", "torch", "f32", 160)._torch[0].start(batch, 0.1)()
    network = open_detector(weights, "cpu", "torch", "f16", 160)._torch[0]
    first = next(iter(network._network.model.model))

    def overflow(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * np.inf if torch.is_autocast_enabled("cpu") else output

    first.register_forward_hook(overflow)
    under_way = [network.start(batch, 0.1) for _ in range(2)]
    for finish in under_way:
        for found, exact in zip(finish(), wanted, strict=True):
            assert np.allclose(found, exact, rtol=1e-3, atol=0.01)
    assert network.name == "torch f32 on cpu"
    assert caplog.messages == ["the detector's outputs are not finite in 16 bits, using 32 bits instead"]


@pytest.mark.parametrize(("count", "filled_up"), [(1, 1), (3, 4), (4, 4)])
def test_a_batch_on_a_gpu_is_filled_up_to_a_power_of_two(count: int, filled_up: int, weights: str) -> None:
    network, batch = TorchNetwork(load_detector(weights), "cpu", "f32"), np.stack(pictures(count, 160, 96))
    wanted = network.start(batch, 0.1)()
    network.is_on_cpu = False  # as on a GPU, but without its streams
    seen: list[int] = []
    network._network.model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for found, exact in zip(network.start(batch, 0.1)(), wanted, strict=True):
        assert found.shape == exact.shape and np.allclose(found, exact, rtol=1e-3, atol=0.01)
    assert seen == [filled_up]


def test_of_pictures_on_a_gpu_only_boxes_that_may_count_are_fetched(weights: str) -> None:
    detector = open_detector(weights, "cpu", "torch", "f32", 160)
    network, batch = detector._torch[0], np.stack(pictures(2, 160, 96))
    everything = network.start(batch)()[0]
    best = network.spec.scores_in(everything).max(axis=1)
    middle = float(np.median(best))
    some = network.start(batch, middle)()[0]
    assert 0 < some.shape[2] < everything.shape[2]
    assert np.array_equal(some, everything[:, :, (best > middle).any(axis=0)])


def test_pictures_of_the_first_size_have_a_network_of_their_own_and_all_sizes_get_their_boxes(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: dict[tuple[int, ...], set[Requests]] = {}
    begin = Requests.start

    def watch(self: Requests, images: list[np.ndarray], *more: Any, **choose: Any) -> Callable[[], list[Outputs]]:
        ran.setdefault(images[0].shape[:2], set()).add(self)
        return begin(self, images, *more, **choose)

    monkeypatch.setattr(Requests, "start", watch)
    network, torch = converted_to_openvino(Path(weights), "f32"), TorchNetwork(load_detector(weights), "cpu", "f32")
    wide, high, large = (np.stack(pictures(2, *size)) for size in ((192, 96), (96, 192), (256, 224)))
    batches = [wide, high, wide[1:], large, high[:1], wide, high]
    under_way = [network.start(list(batch)) for batch in batches]
    for batch, finish in zip(batches, under_way, strict=True):
        for outputs, *wanted in zip(finish(), *torch.start(batch)(), strict=True):
            for found, exact in zip(outputs, wanted, strict=True):
                assert np.allclose(found, exact, rtol=1e-3, atol=0.01)
    ((own,), (of_any,), others) = (ran[size] for size in ((96, 192), (192, 96), (224, 256)))
    assert own is not of_any and others == {of_any}
    assert own._compiled.input(0).partial_shape.is_static
    assert of_any._compiled.input(0).partial_shape.is_dynamic


def test_one_picture_at_first_does_not_keep_those_that_follow_from_running_side_by_side(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--detect-every` lets one picture of the first group through, and the pipeline then used one stream for ever."""
    monkeypatch.setenv("VIDCLF_THREADS", "2")
    network, torch = converted_to_openvino(Path(weights), "f32"), TorchNetwork(load_detector(weights), "cpu", "f32")
    batch = np.stack(pictures(2, 192, 96))
    streams = []
    for images, several in ((batch[:1], False), (batch[:1], True), (batch[:1], False), (batch, False)):
        under_way = network.start(list(images), several=several)
        streams.append(network.streams)
        for outputs, *wanted in zip(under_way(), *torch.start(images)(), strict=True):
            for found, exact in zip(outputs, wanted, strict=True):
                assert np.allclose(found, exact, rtol=1e-3, atol=0.01)
    assert streams == [1, 2, 2, 2]
    assert network._of_usual._compiled.get_property("NUM_STREAMS") == 2


def test_the_network_is_compiled_for_another_size_once_many_pictures_have_it(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidclf.models.networks.MANY", 3)
    network = converted_to_openvino(Path(weights), "f32")
    (wide,), (high,) = pictures(1, 192, 96), pictures(1, 96, 192)
    sizes = []
    for picture in (wide, *[high, wide] * 4, *[high] * 5):
        network.start([picture])()
        sizes.append(network._of_usual._compiled.input(0).shape[1])
    assert sizes == [96] * 12 + [192] * 2
