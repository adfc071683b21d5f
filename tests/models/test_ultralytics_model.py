"""How an ultralytics model is converted; `stages/test_yolo.py` loads and downloads some."""

from __future__ import annotations

from vidclf.models.ultralytics_model import expected_distance


def test_the_sum_that_stays_in_32_bits_is_the_mean_distance_of_ultralytics() -> None:
    import torch
    from ultralytics.nn.modules import DFL

    distances = torch.randn(2, 4 * 16, 21, generator=torch.Generator().manual_seed(0)) * 4
    dfl = DFL(16)
    assert torch.allclose(expected_distance(dfl, distances), dfl(distances), atol=1e-5)
