from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vidclf.errors import VidclfError
from vidclf.video.clock import SourceClock, SteadyClock


def shown(clock: SourceClock | SteadyClock, times: list[float], end: float) -> list[tuple[int, int]]:
    """(number of the picture, tick) as they would be written."""
    written = []
    for number, at in enumerate(times):
        picture = np.array([number])
        written += [(int(image[0]), tick) for image, tick in clock.show(picture, Fraction(at).limit_denominator(1000))]
        picture[0] = 99  # a stage further on draws on it
    return written + [(int(image[0]), tick) for image, tick in clock.finish(Fraction(end).limit_denominator(1000))]


def test_source_clock_keeps_times_and_shows_a_repeated_frame_once() -> None:
    clock = SourceClock(Fraction(1, 1000))
    assert shown(clock, [0, 0.1, 0.1, 0.15, 2], 2.1) == [(0, 0), (1, 100), (3, 150), (4, 2000)]


def test_source_clock_loses_no_frame_where_the_unit_is_too_coarse() -> None:
    assert shown(SourceClock(Fraction(1, 10)), [0, 0.01, 0.02, 0.5], 0.6) == [(0, 0), (1, 1), (2, 2), (3, 5)]


@pytest.mark.parametrize(
    ("rate", "times", "end", "expected"),
    [
        pytest.param(10, [0, 0.1, 0.2], 0.3, [0, 1, 2], id="the same rate"),
        pytest.param(10, [0, 0.104, 0.196], 0.3, [0, 1, 2], id="the same rate, rounded by the container"),
        pytest.param(30, [0, 0.1], 0.2, [0, 0, 0, 1, 1, 1], id="three times"),
        pytest.param(5, [0, 0.1, 0.2, 0.3], 0.4, [0, 2], id="half"),
        pytest.param(10, [0, 0.5, 0.6], 0.7, [0, 0, 0, 0, 0, 1, 2], id="a gap shows what was last seen"),
        pytest.param(10, [0.2, 0.3], 0.4, [0, 0, 0, 1], id="a late start"),
        pytest.param(1, [0], 0.1, [0], id="at least one"),
    ],
)
def test_steady_clock_fills_every_slot_once(rate: int, times: list[float], end: float, expected: list[int]) -> None:
    written = shown(SteadyClock(Fraction(rate)), times, end)
    assert written == [(number, slot) for slot, number in enumerate(expected)]


@pytest.mark.parametrize(("rate", "seconds"), [(Fraction(25), 3600), (Fraction(1, 10), 10_000)])
def test_steady_clock_fills_no_endless_gap(rate: Fraction, seconds: int) -> None:
    """The clock of a camera that was set while it recorded jumps by years."""
    clock, image = SteadyClock(rate, "gap.mkv"), np.zeros(1)
    assert not list(clock.show(image, Fraction(0)))
    assert len(list(clock.show(image, Fraction(seconds)))) == seconds * rate
    with pytest.raises(VidclfError) as error:
        next(clock.show(image, Fraction(seconds + 30 * 86_400)))
    assert str(error.value) == (
        f"gap.mkv has a gap of 720.0 hours after {seconds:.1f} s, which is too long for a constant rate (write.fps, or "
        "the opencv or skvideo backend); without one, the gap stays as it is"
    )
