"""A detector of each kind, small and untrained, and pictures of noise for it."""

from __future__ import annotations

import numpy as np
import pytest

from vidclf.models.selection import Selection

PEOPLE = Selection(0.3, 0.7, [0], 300)
SOME = Selection(0.1, 0.7, None, 20)


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
