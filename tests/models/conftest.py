"""A detector of each kind, small and untrained, pictures of noise for it, and a classifier in all formats.

torch is imported where it is used: a test that imports this needs a start without it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidclf.models.selection import Selection
from vidclf.preprocess import Preprocess

PEOPLE = Selection(0.3, 0.7, [0], 300)
SOME = Selection(0.1, 0.7, None, 20)
COLOUR = Preprocess(size=32, channels=3, aspect="squash")


@pytest.fixture(scope="session", params=["detect", "segment"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small untrained model that is sure of everything: its boxes are nonsense, and many."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    model = YOLO("yolo11n-seg.yaml" if request.param == "segment" else "yolo11n.yaml")
    model.model.names = {0: "person", 1: "tie"} | {i: f"thing {i}" for i in range(2, 80)}
    for branch in model.model.model[-1].cv3:
        branch[-1].bias.data.fill_(0.0)
    model.save(path)
    return str(path)


def pictures(count: int, width: int = 160, height: int = 90) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (count, height, width, 3), np.uint8))


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of an odd format, and what every exporter makes of it."""
    import torch

    from vidclf.models import checkpoint, create, load, save
    from vidclf.models.exporting import export

    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(1)
    model = create("v2", ["cat", "dog", "größer"], COLOUR)
    model.temperature = 1.5
    save(folder / "pets.safetensors", model.eval(), seed=7)
    for kind, suffix in (("onnx", ".onnx"), ("openvino", ".xml"), ("torchscript", ".pt")):
        path = folder / f"pets{suffix}"
        export(load(folder / "pets.safetensors"), checkpoint.read_header(folder / "pets.safetensors"), kind, path)
    return folder
