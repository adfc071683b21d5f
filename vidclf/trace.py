"""Records what every stage and queue did, frame by frame, as a trace for Perfetto and chrome://tracing.

The format is Chrome's Trace Event Format: a stage is a thread; its work on a frame and its waits are slices, a frame
in a queue is an asynchronous span, and arrows (flows) follow a frame from stage to stage.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any, TextIO

from vidclf.channel import Channel
from vidclf.frame import Frame, Source
from vidclf.stats import Meter

LATEST = 300_000  # notes kept, about 50 MB: the last 14,000 frames of a longer run, with seven stages
WORTH_SHOWING = 20e-6  # seconds; a shorter wait is only the lock

# What happened, the meter it happened at, the frame and its source, from when to when, the queue's depth then.
Note = tuple[str, "TracedMeter", Source | None, int, float, float, int]


class Trace:
    """Notes of one or several runs, one after another; pass it to `Pipeline.run(trace=...)`, then `write` it."""

    def __init__(self, latest: int = LATEST):
        self._notes: deque[Note] = deque(maxlen=latest)  # appending is atomic: the stages' threads share it
        self._runs: list[list[TracedMeter]] = []

    def meters(self, places: Iterable[tuple[str, Channel | None, Channel | None]]) -> list[Meter]:
        """The meters of one more run; places: each stage's name, inbox and outbox."""
        process = len(self._runs) + 1
        run = [TracedMeter(self._notes, process, i, *place) for i, place in enumerate(places, 1)]
        self._runs.append(run)
        return [*run]

    def write(self, file: TextIO) -> None:
        """Write the trace as JSON: the object form, times in microseconds from the first run's start."""
        began = min((meter.began for run in self._runs for meter in run), default=0.0)
        lead = '{"displayTimeUnit": "ms", "traceEvents": [\n'
        for event in (*self._names(), *_events(list(self._notes), began)):
            file.write(lead + json.dumps(event, separators=(",", ":")))
            lead = ",\n"
        file.write("\n]}\n" if lead == ",\n" else lead + "]}\n")

    def _names(self) -> Iterator[dict[str, Any]]:
        for run in self._runs:
            sources = ", ".join({source.name: None for meter in run for source in meter.read}) or "nothing read"
            yield run[0].event("M", "process_name", args={"name": f"vidclf: {sources}"}, tid=0)
            for meter in run:
                yield meter.event("M", "thread_name", args={"name": meter.name})
                yield meter.event("M", "thread_sort_index", args={"sort_index": meter.thread})


class TracedMeter(Meter):
    """A meter that also notes when everything happened: one tuple each, in the stage's own thread."""

    def __init__(
        self, notes: deque[Note], process: int, thread: int, name: str, inbox: Channel | None, outbox: Channel | None
    ):
        super().__init__(name, inbox, outbox)
        self.process, self.thread = process, thread
        self._notes = notes
        self._since = self.began  # when the stage last came back from waiting

    def event(self, kind: str, name: str, **fields: Any) -> dict[str, Any]:
        """An event of this stage's thread, in the trace format."""
        return {"ph": kind, "name": name, "pid": self.process, "tid": self.thread, "ts": 0} | fields

    def take(self, limit: int = 1) -> list[Frame]:
        asked = perf_counter()
        group = super().take(limit)
        self._since = now = perf_counter()
        self._notes.append(("waits for a frame", self, None, 0, asked, now, 0))
        depth = self.inbox.depth if self.inbox else 0
        for frame in group:
            self._notes.append(("taken", self, frame.source, frame.index, now, now, depth))
        return group

    def take_one(self) -> Frame | None:
        return next(iter(self.take()), None)

    def wait(self, seconds: float) -> bool:
        asked = perf_counter()
        answers = super().wait(seconds)
        self._since = now = perf_counter()
        if now - asked > WORTH_SHOWING:  # usually a frame is there, and `take` notes it
            self._notes.append(("waits for a frame", self, None, 0, asked, now, 0))
        return answers

    def gave(self, frame: Frame) -> None:
        super().gave(frame)
        self._worked_on(frame)

    def began_frame(self, frame: Frame, seconds: float) -> None:
        super().began_frame(frame, seconds)
        self._worked_on(frame)

    @property
    def put(self) -> Callable[[Frame], bool]:
        return partial(self._put_noted, super().put)

    def _put_noted(self, put: Callable[[Frame], bool], frame: Frame) -> bool:
        source, asked = frame.source, perf_counter()
        kept = put(frame)
        self._since = now = perf_counter()
        self._notes.append(("put", self, source, frame.index, asked, now, self.outbox.depth if self.outbox else 0))
        return kept

    def _worked_on(self, frame: Frame) -> None:
        began, self._since = self._since, perf_counter()
        self._notes.append(("worked", self, frame.source, frame.index, began, self._since, 0))


def _events(notes: Sequence[Note], began: float) -> Iterator[dict[str, Any]]:
    """Yield the notes as events; a frame whose entry into a queue is no longer kept, or that was lost, has no span."""
    order = {source: n for n, source in enumerate(dict.fromkeys(note[2] for note in notes))}
    entered: dict[tuple[int, Source, int], float] = {}  # when a frame came into the queue that it is in
    # Sorted by their ends, so that a put comes before its take, whichever thread noted it first.
    for what, meter, source, index, start, end, depth in sorted(notes, key=lambda note: note[5]):
        at, until, took = (round(seconds * 1e6, 3) for seconds in (start - began, end - began, end - start))
        if what in ("put", "waits for a frame") and end - start > WORTH_SHOWING:
            yield meter.event("X", "waits for room" if what == "put" else what, cat="wait", ts=at, dur=took)
        if source is None:
            continue
        frame, number = {"frame": index, "source": source.name}, f"{meter.process}.{order[source]}.{index}"
        if what == "worked":
            yield meter.event("X", meter.name, cat="stage", ts=at, dur=took, args=frame)
            step = {"ph": "s"} if meter.inbox is None else {"ph": "t"} if meter.outbox else {"ph": "f", "bp": "e"}
            yield meter.event("", "frame", cat="frame", id=number, ts=at, **step)
        elif what == "put":
            entered[id(meter.outbox), source, index] = until
        else:
            queue = f"queue of {meter.name}"
            yield meter.event("C", queue, ts=until, args={"frames": depth})
            if (since := entered.pop((id(meter.inbox), source, index), None)) is not None:
                span = {"cat": "queue", "id": f"{meter.thread}.{number}", "args": frame}
                yield meter.event("b", queue, ts=since, **span)
                yield meter.event("e", queue, ts=until, **span)
