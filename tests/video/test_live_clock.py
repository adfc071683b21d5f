from __future__ import annotations

import pytest

from vidclf.video.live_clock import BACKWARDS, FORWARDS, TICKS, LiveClock


def test_jitter_of_the_network_is_not_in_the_times() -> None:
    clock = LiveClock()
    taken = [clock.taken(n / 25, 100 + n / 25 + jitter, jitter == 0) for n, jitter in enumerate([0, 0.03, 0, 0.02])]
    assert taken == pytest.approx([100, 100.04, 100.08, 100.12])


def test_what_was_waiting_already_is_late() -> None:
    clock = LiveClock()
    clock.taken(0, 100, True)
    assert clock.taken(1, 103, False) == 101  # read two seconds too late
    assert clock.taken(4, 105, True) == 105  # waited for: this is the source's edge


def test_a_clock_that_goes_back_begins_anew() -> None:
    clock = LiveClock()
    clock.taken(500, 100, True)
    assert clock.taken(500 - 2 * BACKWARDS, 100.04, False) == 100.04


def test_pieces_that_come_early_are_shown_when_they_are_due() -> None:
    clock = LiveClock()
    assert [clock.taken(t, 100 + t / 50, True, paced=True) for t in (0, 0.5, 1)] == [100, 100.5, 101]
    assert clock.taken(2, 105, True, paced=True) == 105  # the next piece was late


def test_pieces_whose_clock_jumps_ahead_are_not_waited_for() -> None:
    clock = LiveClock()
    assert [clock.taken(t, 100 + t, True, paced=True) for t in (0, 1)] == [100, 101]
    assert clock.taken(2 + FORWARDS / 2, 101.5, True, paced=True) == 102 + FORWARDS / 2  # long pieces
    assert clock.taken(3600, 102, False, paced=True) == 102  # another programme, or the encoder restarted
    assert clock.taken(3601, 102.1, False, paced=True) == 103


def test_ticks_always_increase_and_count_from_the_first_picture() -> None:
    clock = LiveClock()
    ticks = [clock.ticks(t) for t in (100, 100.5, 100.5, 100.2, 101)]
    assert ticks == [0, TICKS // 2, TICKS // 2 + 1, TICKS // 2 + 2, TICKS]
