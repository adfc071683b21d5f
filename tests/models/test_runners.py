"""What a network's runtime promises: here, that an answer stays as it is when the next one is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidclf.models import create, save
from vidclf.models.checkpoint import read_header
from vidclf.models.exporting import export
from vidclf.models.predictor import patterns
from vidclf.models.runners import OpenVinoRunner


@pytest.mark.parametrize("count", [1, 4])
def test_the_next_pass_does_not_overwrite_the_results_of_the_one_before(tmp_path: Path, count: int) -> None:
    """The runner relies on OpenVINO for this, and makes no copy of its own."""
    model = create("v1", ["cat", "dog"]).eval()
    header = read_header(save(tmp_path / "pets.safetensors", model))
    export(model, header, "openvino", tmp_path / "pets.xml")
    run = OpenVinoRunner(tmp_path / "pets.xml", "f32")
    crops = patterns(model.preprocess, count)
    first = run(crops)
    before = first.copy()
    second = run(255 - crops)
    assert first.flags.owndata
    assert np.array_equal(first, before)
    assert not np.array_equal(first, second)  # they were different questions
