"""Converts an ultralytics detector into an OpenVINO network that takes a picture as it is, and decodes few boxes.

Import it after `ultralytics_model.load_detector`, which imports ultralytics with its guards.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.nn.modules import DFL, Conv, Detect

from vidclf.models import exporting
from vidclf.models.openvino_runtime import import_openvino
from vidclf.models.ultralytics_model import undisturbed

# The last convolution of a box branch of ultralytics' Detect head, by the name of its module.
LAST_OF_BOXES = re.compile(r"\.(one2one_)?cv2\.\d+\.2/.*Convolution$")


def to_openvino(model: Any, path: Path) -> None:
    """Convert an `ultralytics.YOLO` for pictures of all sizes: (1, height, width, 3) uint8 BGR, sides by its stride.

    A network with `SureHead` has a second input, the confidence as a logit; its output is without the boxes below it.
    Raises any error of torch or OpenVINO for operations that they cannot convert.
    """
    with undisturbed():
        network = deepcopy(model.predictor.model.model).cpu().float().eval()  # what torch runs; it is fused
        layers = network.model
        layers[0] = (FoldedBytes if FoldedBytes.fits(layers[0]) else Bytes)(layers[0])
        stride = int(model.predictor.model.stride)
        inputs = [(torch.zeros(1, 2 * stride, 3 * stride, 3, dtype=torch.uint8), [1, -1, -1, 3])]
        if SureHead.fits(layers[-1]):
            layers[-1] = SureHead(layers[-1])
            network = WithConfidence(network)
            inputs.append((torch.tensor(-100.0), []))
        for module in network.modules():
            if isinstance(module, Detect):  # and derived classes: as ultralytics' own exporter does
                module.export, module.dynamic, module.format = True, True, "openvino"
                if isinstance(module.dfl, DFL):
                    module.dfl.forward = partial(expected_distance, module.dfl)
        network = exporting.convert(network, *inputs)
    keep_distances_exact(network)
    import_openvino().save_model(network, path, compress_to_fp16=False)


class Bytes(nn.Module):
    """A network's first layer that takes (1, height, width, 3) uint8 BGR, not (1, 3, height, width) RGB from 0 to 1."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer, self.white = layer, 255.0
        _take_place(self, layer)
        if _is_convolution(layer):  # then pixels stay whole numbers, which are exact in bfloat16
            layer.conv.weight.data /= 255
            self.white = 1.0

    def forward(self, pictures: Tensor) -> Any:
        colours = pictures.flip(-1).permute(0, 3, 1, 2).float()
        return self.layer(colours if self.white == 1 else colours / self.white)


class FoldedBytes(nn.Module):
    """The same for a 3x3 convolution with stride 2, on four pixels at a time: exactly the same sums, in less time.

    A CPU's matrix units multiply 32 channels at once, and pixels have three. So four neighbours in a row are taken as
    one pixel of 12 channels, which they are already in a picture's bytes, and the results for two pixels as one of
    twice the channels.
    """

    def __init__(self, layer: Any):
        super().__init__()
        conv, self.act = layer.conv, layer.act
        _take_place(self, layer)
        out = conv.out_channels
        weight = torch.zeros(2, out, 12, 3, 2)  # for the left and the right result; the last axis: last four, these
        for right in range(2):
            for column in range(3):
                pixel = 4 + 2 * right + column - 1  # of eight
                channels = slice(3 * (pixel % 4), 3 * (pixel % 4) + 3)
                weight[right, :, channels, :, pixel // 4] = conv.weight.data.flip(1)[..., column] / 255  # RGB to BGR
        self.conv = nn.Conv2d(12, 2 * out, (3, 2), stride=(2, 1))
        self.conv.weight = nn.Parameter(weight.flatten(0, 1))
        self.conv.bias = nn.Parameter(conv.bias.data.repeat(2))

    @staticmethod
    def fits(layer: Any) -> bool:
        """Whether a first layer is such a convolution, as that of YOLOv8 and later."""
        if not _is_convolution(layer):
            return False
        conv = layer.conv
        shape = conv.in_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups
        return shape == (3, (3, 3), (2, 2), (1, 1), (1, 1), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        count, rows, columns, _ = pictures.shape
        folded = pictures.reshape(count, rows, columns // 4, 12).permute(0, 3, 1, 2).float()
        found = self.act(self.conv(F.pad(folded, (1, 0, 1, 0))))
        return found.permute(0, 2, 3, 1).reshape(count, rows // 2, columns // 2, -1).permute(0, 3, 1, 2)


class SureHead(nn.Module):
    """ultralytics' Detect head, for one picture, that decodes only boxes whose best class is surer than `confidence`.

    Those are a hundred of thousands. confidence: a logit. Output: (1, 4 + classes, boxes), as ultralytics has it.
    """

    confidence: Tensor

    def __init__(self, head: Any):
        super().__init__()
        self.head = head
        _take_place(self, head)

    @staticmethod
    def fits(head: Any) -> bool:
        """Whether a head is of that kind: YOLOv5u to 12 for detection, not one derived from it, nor NMS-free."""
        return type(head) is Detect and not head.end2end and not head.xyxy and isinstance(head.dfl, DFL)

    def forward(self, features: list[Tensor]) -> Tensor:
        scales = zip(features, self.head.cv2, self.head.cv3, self.head.stride.tolist(), strict=True)
        return torch.cat([self._sure(*each) for each in scales]).t()[None]

    def _sure(self, features: Tensor, boxes: nn.Module, classes: nn.Module, stride: float) -> Tensor:
        """(boxes, 4 + classes): centre, width, height, scores of the boxes of one scale."""
        head, columns = self.head, features.shape[3]
        logits = classes(features).permute(0, 2, 3, 1).reshape(-1, head.nc)
        sure = (logits.amax(1) > self.confidence).nonzero()[:, 0]
        bins = boxes(features).permute(0, 2, 3, 1).reshape(-1, 4 * head.reg_max).index_select(0, sure)
        left_top, right_bottom = expected_distance(head.dfl, bins[..., None])[..., 0].split(2, dim=1)
        place = torch.stack([sure % columns, sure // columns], dim=1).float() + 0.5
        first, last = place - left_top, place + right_bottom
        scores = logits.index_select(0, sure).sigmoid()
        return torch.cat([(first + last) / 2 * stride, (last - first) * stride, scores], dim=1)


class WithConfidence(nn.Module):
    """A network with a `SureHead`, whose confidence is its second input."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, confidence: Tensor) -> Any:
        self.network.model[-1].confidence = confidence
        return self.network(pictures)


def _is_convolution(layer: Any) -> bool:
    """Whether a layer is a convolution, fused with its normalisation, and an activation."""
    conv = getattr(layer, "conv", None)
    return type(layer) is Conv and type(conv) is nn.Conv2d and conv.bias is not None and not hasattr(layer, "bn")


def _take_place(new: Any, old: Any) -> None:
    """Let a module take another's place in ultralytics' list of layers."""
    new.i, new.f, new.type = old.i, old.f, old.type


def expected_distance(dfl: Any, x: Any) -> Any:
    """Computes ultralytics' DFL of (N, 4 * bins, anchors): each side's mean distance, (N, 4, anchors), in bins.

    The original computes the mean by a convolution. In a 16-bit network OpenVINO runs that, and the softmax before it,
    in 16 bits; a plain sum stays in 32. With YOLO11n on PETS09 (960x720), this takes the error of boxes in bf16 from
    0.11 to 0.09 pixels, and `keep_distances_exact` then to 0.03; that alone would leave 0.10.
    """
    count, _, anchors = x.shape
    return (x.view(count, 4, dfl.c1, anchors).softmax(2) * dfl.conv.weight.view(1, 1, -1, 1)).sum(2)


def keep_distances_exact(network: Any) -> None:
    """Mark the last convolution of each box branch in an `openvino.Model`: it stays in 32 bits at every precision.

    It is less than 1 % of the work, and its rounding is most of what bf16 does to the boxes: of 1,879 people on
    PETS09, 97.5 instead of 96.1 % have the same box and label as in 32 bits.
    """
    for operation in network.get_ops():
        if LAST_OF_BOXES.search(operation.get_friendly_name()):
            operation.get_rt_info()["precise_0"] = True  # OpenVINO's attribute "precise", version 0; it is saved, too
