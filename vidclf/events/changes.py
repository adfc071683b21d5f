"""Detects changes to the objects of one source: they appear, change their label, and are gone."""

from __future__ import annotations

from collections.abc import Iterator
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

    def update(self, time: float, rows: list[Row]) -> Iterator[Change]:
        """Yield the changes on a frame; rows without a track are ignored, since they have no identity."""
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
        for track, (_, latest) in list(self._seen.items()):
            if time - latest["time"] > self._gone:
                yield from self._leave(track)

    def end(self) -> Iterator[Change]:
        """Yield the last changes: the source has ended, so all its objects are gone."""
        for track in list(self._seen):
            yield from self._leave(track)

    def _leave(self, track: int) -> Iterator[Change]:
        first, latest = self._seen.pop(track)
        yield "gone", {**latest, "since": first["time"]}
