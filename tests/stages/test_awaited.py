from __future__ import annotations

from threading import Timer

from tests.frames import make_frames
from vidclf.channel import Channel
from vidclf.stages._awaited import awaited


def test_a_channel_without_frames_gives_none_until_one_comes() -> None:
    channel = Channel(2)
    first, second = make_frames(2)
    channel.put(first)
    later = Timer(0.2, lambda: (channel.put(second), channel.close()))
    later.start()
    given = list(awaited(channel, 0.01))
    later.join()
    assert (given[0], given[-1]) == (first, second)
    assert len(given) > 3 and given[1:-1] == [None] * (len(given) - 2)


def test_other_iterables_are_waited_for() -> None:
    frames = list(make_frames(3))
    assert list(awaited(frames, 0)) == frames
