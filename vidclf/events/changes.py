"""Detects changes to the objects of one source: they appear, change their label, and are gone."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

Row = dict[str, Any]
Change = tuple[str, Row]  # the event's name, and the row it is about


class Changes:
    """Turns the rows of a source's frames, each with a track number, into the few changes that matter.

    gone: seconds without a sighting after which an object has left.
    """

    def __init__(self, gone: float):
        self._gone = gone
        self._seen: dict[int, tuple[Row, Row]] = {}  # track: its first row, its latest
        self._time = self._came = 0.0  # the latest frame's time, and when it came here

    def update(self, time: float, rows: list[Row]) -> Iterator[Change]:
        """Yield the changes on a frame; rows without a track are ignored, since they have no identity."""
        self._time, self._came = time, monotonic()
        for row in rows:
            track = row["track"]
            if track is None:
                continue
            first, latest = self._seen.get(track, (row, None))
            self._seen[track] = first, row
            if latest is None:
                yield "appeared", row
            elif row["label"] != latest["label"]:
                yield "label", {**row, "previous": latest["label"]}
        yield from self._expire(time)

    def pass_time(self) -> Iterator[Change]:
        """Yield the changes since the latest frame: without another, the source's time goes on like our clock."""
        yield from self._expire(self._time + monotonic() - self._came)

    def end(self) -> Iterator[Change]:
        """Yield the last changes: the source has ended, so all its objects are gone."""
        for track in list(self._seen):
            yield from self._leave(track)

    def _expire(self, now: float) -> Iterator[Change]:
        for track, (_, latest) in list(self._seen.items()):
            if now - latest["time"] > self._gone:
                yield from self._leave(track)

    def _leave(self, track: int) -> Iterator[Change]:
        first, latest = self._seen.pop(track)
        yield "gone", {**latest, "since": first["time"]}
