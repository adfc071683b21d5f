from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.clips import turn_metadata, write_clip
from vidclf.frame import Source
from vidclf.video.description import describe, upright_ratio


def describe_file(path: Path, **options: Any) -> Source:
    with av.open(str(path)) as container:
        return describe(container, container.streams.video[0], str(path), "door", **options)


def test_a_file_says_its_size_rate_and_length(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size, rate, seconds = (stream.width, stream.height), stream.average_rate, container.duration / 1e6
    source = describe_file(path)
    assert (source.name, source.size, source.rate, source.frames) == ("door", size, rate, 12)
    assert source.duration == pytest.approx(seconds) and not source.live
    assert source.uri is None  # this clip is silent


def test_pictures_that_will_be_scaled_have_that_size(tmp_path: Path) -> None:
    source = describe_file(write_clip(tmp_path / "clip.mp4", 2), size=(40, 30), begin=1.5)
    assert (source.size, source.begin) == ((40, 30), 1.5)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_shape_of_pixels_turns_with_the_picture(tmp_path: Path, degrees: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", 1, context_sample_aspect_ratio=Fraction(16, 11))
    turn_metadata(path, degrees)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        ratio = upright_ratio(stream, next(container.decode(stream)))
    assert ratio == (Fraction(11, 16) if degrees % 180 else Fraction(16, 11))
