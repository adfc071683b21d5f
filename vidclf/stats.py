"""The statistics of a run: what each stage took and yielded, how long it needed, and where every frame ended."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from vidclf.channel import Channel
from vidclf.frame import Frame, Source

INSIDE = 8192  # frames of a source inside a stage, more than any of ours holds: earlier ones count as dropped
RECENT = 1024  # latencies kept per stage: percentiles cover this many frames, and memory use stays flat


class Passage:
    """One source's frames on their way through a stage."""

    __slots__ = ("inside", "latest")

    def __init__(self) -> None:
        self.latest = -1  # index of the latest frame taken
        self.inside: deque[tuple[int, float]] = deque()  # taken, not yet yielded: (frame index, when)


class Meter:
    """What one stage did; written only by the stage's own thread (except `busy`), readable from any."""

    def __init__(self, name: str, inbox: Channel | None, outbox: Channel | None):
        self.name, self.inbox, self.outbox = name, inbox, outbox
        self.taken = self.given = 0
        self.takes = self.sources_taken = 0  # groups, and the sum of the number of different sources in each
        self.latencies: deque[float] = deque(maxlen=RECENT)
        self.read: Counter[Source] = Counter()  # frames that began here (sources only)
        self.dropped: Counter[Source] = Counter()  # frames that went in and never came out
        self.at: Frame | None = None  # the last frame that it took, or (a source) made, to name in errors
        self._passages: dict[Source, Passage] = {}
        self.is_left = False  # the run goes on, or has ended, without this stage, which does not return
        self.began = perf_counter()
        self.ended: float | None = None
        self._put = 0.0  # seconds of passing frames on to an outbox that it shares with others, and since when it does
        self._putting: float | None = None
        self._busy = 0.0  # the value of `busy` when it was last read

    # The stage's view of its inbox: the consumer side of a Channel, with measurements.

    def take(self, limit: int = 1) -> list[Frame]:
        """Take up to `limit` waiting frames, as `Channel.take` does, and note them."""
        assert self.inbox is not None
        group = self.inbox.take(limit)
        now = perf_counter()
        for frame in group:
            self._enter(frame, now)
        if not group:
            return group  # the end of the stream is not a batch
        self.takes += 1
        self.sources_taken += len({frame.source for frame in group}) if len(group) > 1 else len(group)
        return group

    def wait(self, seconds: float) -> bool:
        """Wait as `Channel.wait` does."""
        assert self.inbox is not None
        return self.inbox.wait(seconds)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.take_one, None)

    def take_one(self) -> Frame | None:
        """Take one frame, as `Channel.take_one` does, and note it."""
        assert self.inbox is not None
        frame = self.inbox.take_one()
        if frame is not None:
            self._enter(frame, perf_counter())
            self.takes += 1
            self.sources_taken += 1
        return frame

    def _enter(self, frame: Frame, now: float) -> None:
        self.taken += 1
        self.at = frame
        index = frame.index
        passage = self._passages.get(frame.source)
        if passage is None:
            passage = self._passages[frame.source] = Passage()
        if index > passage.latest:  # else repeated by an earlier stage: count it once, however often it comes
            passage.latest = index
            passage.inside.append((index, now))
            if len(passage.inside) > INSIDE:  # of a stage that lets few frames through
                passage.inside.popleft()
                self.dropped[frame.source] += 1

    def gave(self, frame: Frame) -> None:
        """Note a frame that leaves the stage; frames taken before it but not yielded are dropped."""
        self.given += 1
        passage = self._passages.get(frame.source)
        if passage is None:
            return
        inside = passage.inside
        while inside and inside[0][0] <= frame.index:
            index, entered = inside.popleft()
            if index == frame.index:
                self.latencies.append(perf_counter() - entered)
            else:
                self.dropped[frame.source] += 1

    def began_frame(self, frame: Frame, seconds: float) -> None:
        """Note a frame that a source made, and how long that took."""
        self.read[frame.source] += 1
        self.given += 1
        self.at = frame
        self.latencies.append(seconds)

    @property
    def put(self) -> Callable[[Frame], bool]:
        """Passes a frame on; False means that nobody is listening any more."""
        assert self.outbox is not None
        return self._put_in_turn if self.outbox.is_shared else self.outbox.put

    def _put_in_turn(self, frame: Frame) -> bool:
        assert self.outbox is not None
        self._putting = perf_counter()
        try:
            return self.outbox.put(frame)
        finally:
            self._put += perf_counter() - self._putting
            self._putting = None

    def end(self) -> None:
        """Note the end of the stage: frames still inside never came out."""
        self.ended = perf_counter()
        for source, passage in self._passages.items():
            self.dropped[source] += len(passage.inside)
        self._passages.clear()

    @property
    def wait_in(self) -> float:
        """Seconds spent waiting for frames; a source waits for its device, its server or the clock."""
        if self.inbox:
            return self.inbox.take_wait
        if not self.at:  # a source without a frame
            return (self.ended or perf_counter()) - self.began
        source = self.at.source
        since = source.waits_since  # read once, and before `waited`: the capture may stop waiting in between
        return source.waited + (0.0 if since is None else perf_counter() - since)

    @property
    def wait_out(self) -> float:
        """Seconds spent waiting for room after the stage."""
        if self.outbox and self.outbox.is_shared:  # it knows only how long all have waited
            since = self._putting
            return self._put + (0.0 if since is None else perf_counter() - since)
        return self.outbox.put_wait if self.outbox else 0.0

    @property
    def busy(self) -> float:
        """Seconds spent neither waiting for frames nor for room; never decreases, since it is a counter."""
        busy = (self.ended or perf_counter()) - self.began - self.wait_in - self.wait_out
        self._busy = max(self._busy, busy)
        return self._busy

    def row(self) -> dict[str, Any]:
        """The stage's line in the statistics; percentiles are of recent frames."""
        recent = sorted(self.latencies.copy())
        percentiles = {f"p{p}_ms": round(_percentile(recent, p) * 1000, 3) for p in (50, 95, 99)}
        return {
            "name": self.name,
            "in": self.taken,
            "out": self.given,
            "busy_s": round(self.busy, 4),
            "wait_in_s": round(self.wait_in, 4),
            "wait_out_s": round(self.wait_out, 4),
            "queue": self.inbox.depth if self.inbox else 0,
            "late": sum(self.inbox.lost.copy().values()) if self.inbox else 0,  # dropped while they waited for it
            "batch": round(self.taken / max(1, self.takes), 2),  # frames taken at a time, and from how many sources
            "batch_sources": round(self.sources_taken / max(1, self.takes), 2),
            **percentiles,
        }


class Tally:
    """What came out at the end of the pipeline."""

    def __init__(self) -> None:
        self.finished: Counter[Source] = Counter()
        self.lags: dict[Source, deque[float]] = {}  # recent seconds from capture to output, for each live source
        self._latest: dict[Source, int] = {}
        self.detections = 0
        self.labels: Counter[str] = Counter()  # "" where a classifier abstained; the kind where none was asked

    def count(self, frame: Frame) -> None:
        """Count a frame that came out, and its detections."""
        # A stage may repeat a frame; it finishes once.
        if frame.index > self._latest.get(frame.source, -1):
            self._latest[frame.source] = frame.index
            self.finished[frame.source] += 1
        if frame.source.live:
            self.lags.setdefault(frame.source, deque(maxlen=RECENT)).append(perf_counter() - frame.captured)
        if frame.detections:
            self.detections += len(frame.detections)
            # Without probabilities nothing was asked for a name, and so nothing abstained: it is what the detector saw.
            self.labels.update(d.label or (d.kind if d.probabilities is None else "") for d in frame.detections)


def ledger(source: Source, meters: Iterable[Meter], tally: Tally, reason: str) -> dict[str, Any]:
    """Where every frame of `source` ended: read == finished + corrupt + sum(dropped.values()).

    reason: why frames were left between stages, if a run ended before its sources did.
    """
    dropped = Counter(source.dropped)
    read = source.corrupt + sum(source.dropped.values())
    channels = {}
    for meter in meters:
        read += meter.read[source]
        dropped[meter.name] += meter.dropped[source]
        if meter.inbox:
            channels[id(meter.inbox)] = meter.inbox
    for channel in channels.values():
        dropped["late" if source.live else reason] += channel.lost[source]
    return {
        "read": read,
        "finished": tally.finished[source],
        "corrupt": source.corrupt,
        "dropped": {name: n for name, n in dropped.items() if n},
    }


def health(source: Source, meters: Iterable[Meter], tally: Tally) -> dict[str, Any]:
    """The health of a source: its state, reconnects, lag, and the time since its last frame.

    state: absent (never seen yet), connected, reconnecting, given up, ended. Times are None before the first frame.
    """
    own = [meter for meter in meters if meter.at and not meter.inbox and meter.at.source is source]
    ended = any(meter.ended for meter in own) and source.state != "given up"
    last = max((meter.at.captured for meter in own if meter.at), default=None)
    return {
        "live": source.live,
        "state": "ended" if ended else source.state,
        "reconnects": source.reconnects,
        "problem": source.problem,
        "size": list(source.size),
        "last_frame_s": None if last is None else round(perf_counter() - last, 3),  # seconds ago
        "lag_ms": lag(tally, [source]),
    }


def lag(tally: Tally, sources: Iterable[Source]) -> dict[str, float | None]:
    """Percentiles of the time from capture to output, in milliseconds, over recent frames of some sources."""
    recent = sorted(lag for source in sources for lag in tally.lags.get(source, deque()).copy())
    return {f"p{p}": round(_percentile(recent, p) * 1000, 1) if recent else None for p in (50, 95, 99)}


def balances(entry: dict[str, Any]) -> bool:
    """Whether a ledger adds up."""
    return entry["read"] == entry["finished"] + entry["corrupt"] + sum(entry["dropped"].values())


def add_up(ledgers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One ledger for several sources."""
    total: dict[str, Any] = {"read": 0, "finished": 0, "corrupt": 0, "dropped": Counter()}
    for entry in ledgers:
        for name in ("read", "finished", "corrupt"):
            total[name] += entry[name]
        total["dropped"].update(entry["dropped"])
    return {**total, "dropped": dict(total["dropped"])}


def _percentile(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
