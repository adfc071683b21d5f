"""Runs a chain of stages, each in its own thread, joined by channels."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil, inf
from threading import Event, Thread
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from vidclf.boxes import keep_inside
from vidclf.channel import LATER_PATIENCE, LIVE_BYTES, PATIENCE, QUEUE_BYTES, Aborted, Channel, Patience
from vidclf.frame import Frame
from vidclf.interrupt import finish_on_interrupt
from vidclf.memory import peak_rss
from vidclf.mistakes import checked, frames_of, no_frame, no_picture, takes_one_frame
from vidclf.stats import Meter, Tally, add_up, balances, health, lag, ledger

if TYPE_CHECKING:
    from vidclf.trace import Trace

log = logging.getLogger(__name__)

FASTEST = 120  # pictures per second of a live source, all of which may wait until the latency target
END: Any = object()  # of a stage's frames
LATENT_BYTES = 256 << 20  # that wait between two stages then: 1.6 seconds of 1920x1080 at 25 pictures a second
ABORT_SECONDS = 5.0  # that stages have to finish after an abort; their current work might take hours
STUCK_SECONDS = 60.0  # that a source has to return once no more frames are wanted: its own time limits are shorter

# Takes a Channel, or any iterable of frames. A source yields None while it has nothing yet, so that it can be stopped.
Stage = Callable[[Any], Iterable[Frame | None]]


class Pipeline:
    """A chain of stages; the first is a source, or a list of sources that share what follows.

    queue: frames that may wait between two stages. latency_target: seconds that a live source's frames may take from
    capture to output, so that fewer are skipped; by default as few seconds as possible.
    Each stage has its own thread, except the last: it runs in the caller's, so that windows and Ctrl-C work there.
    When a stage ends, for any reason, everything before it stops and everything after it finishes the frames that it
    already has. When a source fails, the others stop. After a failure, the stages see `Aborted` at the end of their
    frames, so that no incomplete file gets its final name.
    """

    def __init__(self, stages: Sequence[Stage | Sequence[Stage]], queue: int = 32, latency_target: float | None = None):
        if not stages:
            raise ValueError("a pipeline needs at least one stage")
        if queue < 1:
            raise ValueError(f"queue must be at least 1 frame, got {queue}")
        if latency_target is not None and latency_target <= 0:
            raise ValueError(f"latency_target must be above 0 seconds, got {latency_target:g}")
        first, *rest = checked(stages)
        self.sources: list[Stage] = list(first) if isinstance(first, Sequence) else [first]
        self.stages: list[Stage] = [stage for stage in rest if not isinstance(stage, Sequence)]
        if not self.sources or len(self.stages) < len(rest):
            raise ValueError("only the first item may be a list, of sources, and it needs at least one")
        if len(self.sources) > 1 and not self.stages:
            raise ValueError("several sources need a stage after them")
        self.queue, self.latency_target = queue, latency_target
        self._patience: list[Patience] = []
        self._stopping = False
        self._is_over = False  # a source failed, or another stage ended: no source is to go on
        self._is_running = False
        self.stopped = False  # whether `stop()` ended the latest finished run
        self._error: BaseException | None = None
        self._meters: list[Meter] = []
        self._tally = Tally()
        self._watch: Callable[[Frame], object] | None = None
        self._began = self._ended = 0.0

    @property
    def _everyone(self) -> list[Stage]:
        return [*self.sources, *self.stages]

    @property
    def live(self) -> bool:
        """Whether a source yields frames in real time, so that late ones are dropped and there is no end."""
        return any(getattr(source, "live", False) for source in self.sources)

    def run(self, watch: Callable[[Frame], object] | None = None, trace: Trace | None = None) -> dict[str, Any]:
        """Run until the sources end, or `stop()`; returns `stats()`.

        watch: called, in the caller's thread, with every finished frame. trace: records what happens when.
        Raises the first exception of any stage, with a note that names the stage and the frame; RuntimeError if
        this pipeline is already running. In the main thread, unless the program has its own handler for Ctrl-C, the
        first one calls `stop()`, and KeyboardInterrupt is raised when all outputs are complete; a second one aborts.
        """
        if self._is_running:
            raise RuntimeError("this pipeline is already running; wait for its end, or create another one")
        self._is_running = True
        try:
            with finish_on_interrupt(self.stop):
                return self._run(watch, trace)
        finally:
            # Not when a run begins: a stop requested before it, in a signal handler or another thread, would be lost.
            self.stopped, self._stopping = self._stopping, False
            self._is_running = False

    def _run(self, watch: Callable[[Frame], object] | None, trace: Trace | None) -> dict[str, Any]:
        self._error, self._tally = None, Tally()
        self._is_over = False  # not reset at the end of a run: a source that outlasts an abort has to see it, too
        self._watch = watch
        seconds = PATIENCE, LATER_PATIENCE  # before the first stage, and before all others
        self._patience = [Patience(each, self.latency_target) for each in seconds]
        for stage in self._everyone:
            if attach := getattr(stage, "attach", None):
                attach(self)  # a stage that shows the statistics, or that can end the run
        channels = self._channels(trace)
        self._began, self._ended = perf_counter(), 0.0
        jobs = list(zip(self._everyone, self._meters, strict=True))
        threads = [Thread(target=self._work, args=job, name=f"vidclf {job[1].name}", daemon=True) for job in jobs[:-1]]
        for thread in threads:
            thread.start()
        over = Event()
        guard = Thread(target=self._leave_stuck_sources, args=(threads, over), name="vidclf guard", daemon=True)
        guard.start()
        try:
            self._work(*jobs[-1])
            if self._error and not isinstance(self._error, Exception):
                raise self._error
            wait_for(threads)
        except BaseException as error:  # a second Ctrl-C, in the last stage or while this thread waited for the others
            self._error = self._error or error
            for channel in channels:
                channel.cancel(failed=True)
            wait_for(threads, ABORT_SECONDS)
            for meter in self._meters:  # one that has not ended must not disturb the next run
                meter.is_left = meter.ended is None
        finally:
            over.set()
            guard.join()
        self._ended = perf_counter()
        if self._error:
            raise self._error
        stats = self.stats()
        for entry in (stats["ledger"], *stats.get("sources", {}).values()):
            if not balances(entry):  # no reason to fail, now that all outputs are complete
                log.warning("frames are unaccounted for, because a stage creates or renumbers frames: %s", entry)
        return stats

    def _channels(self, trace: Trace | None) -> list[Channel]:
        """Fresh channels between the stages, and a meter for each stage that knows the two beside it."""
        producers, size = len(self.sources), self.queue
        most = LIVE_BYTES if self.live else QUEUE_BYTES
        if self.latency_target is not None:
            size, most = max(size, ceil(FASTEST * self.latency_target)), LATENT_BYTES
        channels = [
            Channel(size, producers if i == 0 else 1, most, self._patience[min(i, 1)]) for i in range(len(self.stages))
        ]
        inboxes: list[Channel | None] = [None] * producers + [*channels]
        after: list[Channel | None] = [*channels, None]
        outboxes = after[:1] * producers + after[1:]
        names = map(name_of, self._everyone)
        places = zip(names, inboxes, outboxes, strict=True)
        self._meters = trace.meters(places) if trace else [Meter(*each) for each in places]
        return channels

    @property
    def stopping(self) -> bool:
        """Whether `stop()` was called for this run, or it failed: a stage that makes others wait should end that."""
        return self._stopping or (self._is_running and self._error is not None)

    def stop(self) -> None:
        """Take no more frames from the sources and finish those in progress; safe in a signal handler.

        If nothing is running, the next run ends at once.
        """
        self._stopping = True

    def _leave_stuck_sources(self, threads: list[Thread], over: Event) -> None:
        """Let a run that is to end do so without sources whose read from a device or a share takes for ever."""
        while not (self._stopping or self._is_over):
            if over.wait(0.5):
                return
        sources = list(zip(threads[: len(self.sources)], self._meters, strict=False))
        while True:
            before = {id(meter): meter.wait_out for _, meter in sources}
            if over.wait(STUCK_SECONDS):
                return
            for thread, meter in sources:
                waited = meter.wait_out - before[id(meter)]  # for room, because a later stage takes long
                if thread.is_alive() and meter.outbox and not meter.is_left and waited < STUCK_SECONDS / 2:
                    log.warning("%s does not return; the run ends without it", meter.name)
                    meter.is_left = True
                    meter.end()
                    threads.remove(thread)
                    meter.outbox.close()

    def _work(self, stage: Stage, meter: Meter) -> None:
        """Run one stage: move its frames on until it ends, then notify its neighbours."""
        failed = False
        inbox = meter if meter.inbox else Channel.of(())
        try:
            stream = frames_of(stage(inbox), meter.name)
            try:
                self._move(stream, meter, not type(stage).__module__.startswith("vidclf."))
            except BaseException:
                # Not always its own failure: maybe a second Ctrl-C. The stage must not see a normal end of its frames.
                if throw := getattr(stream, "throw", None):
                    with suppress(Exception):
                        throw(Aborted())
                raise
            finally:
                if close := getattr(stream, "close", None):
                    close()
        except Aborted:
            failed = True
        except BaseException as error:
            failed = True
            if meter.is_left:
                log.debug("%s ended after it was left: %r", meter.name, error)
            elif self._error is None:
                if mistake := takes_one_frame(error, inbox, meter.name):
                    mistake.__cause__ = error
                    error = mistake
                where = f" at frame {meter.at.index} of {meter.at.source.name}" if meter.at else ""
                error.add_note(f"in stage {meter.name!r}{where}")
                self._error = error
        finally:
            meter.end()
            if meter.inbox:
                meter.inbox.cancel()
            if meter.outbox and not meter.is_left:
                meter.outbox.close(failed)
            if (failed or meter.inbox) and not meter.is_left:
                self._is_over = True

    def _move(self, stream: Iterator[Frame | None], meter: Meter, is_foreign: bool) -> None:
        """Pass a stage's frames on until it ends. is_foreign: not one of ours, which keep boxes in the picture."""
        move = self._read if meter.inbox is None else self._pass
        has_ended = move(stream, meter, is_foreign)
        if self._error and not has_ended:  # it is cut short because the run failed: it must not look complete
            raise Aborted

    def _read(self, stream: Iterator[Frame | None], meter: Meter, is_foreign: bool) -> bool:
        """Pass a source's frames on; returns whether it has ended by itself."""
        pass_on = meter.put if meter.outbox else self._finish
        # A source whose camera is silent puts no frame, so only this tells it that nobody is listening.
        while not (self._stopping or self._is_over or meter.is_left):
            asked = perf_counter()
            try:
                frame = next(stream)
            except StopIteration:
                return True
            if frame is None:
                continue
            _check(frame, meter, is_foreign)
            meter.began_frame(frame, perf_counter() - asked)
            if not pass_on(frame):
                break
        return False

    def _pass(self, stream: Iterator[Any], meter: Meter, is_foreign: bool) -> bool:
        """Pass the frames of a stage on; returns whether it has ended by itself."""
        pass_on, gave = meter.put if meter.outbox else self._finish, meter.gave
        while (frame := next(stream, END)) is not END:
            _check(frame, meter, is_foreign)
            gave(frame)
            if not pass_on(frame):
                return False
        return True

    def _finish(self, frame: Frame) -> bool:
        """Count a frame that the last stage has given."""
        self._tally.count(frame)
        if frame.source.live:
            for patience in self._patience:
                patience.observe(self._tally.lags[frame.source][-1])
        if self._watch:
            self._watch(frame)
        return True

    def stats(self) -> dict[str, Any]:
        """The statistics so far; callable while running, from any thread.

        Keys: source, wall_s, fps, ledger, detections, labels, bottleneck, stages, peak_rss_mb; with several sources,
        or a live one, `sources`: each one's ledger and health (see `stats.health`); with a live one `lag_ms`, the
        percentiles of the time from capture to output.
        """
        wall = (self._ended or perf_counter()) - self._began if self._began else 0.0
        # A camera that has not been seen yet has no frame, but it appears in the statistics.
        expected = [source for stage in self.sources if (source := getattr(stage, "reading", None))]
        sources = list(dict.fromkeys([*expected, *(source for meter in self._meters for source in list(meter.read))]))
        reason = "failed" if self._error else "stopped"
        names = unique([source.name for source in sources])
        ledgers = [ledger(source, self._meters, self._tally, reason) for source in sources]
        total = add_up(ledgers)
        live = [source for source in sources if source.live]
        states = [health(source, self._meters, self._tally) for source in sources]
        each = {name: entry | state for name, entry, state in zip(names, ledgers, states, strict=True)}
        busiest = max(self._meters, key=lambda meter: meter.busy, default=None)
        return {
            "source": ", ".join(names),
            "wall_s": round(wall, 3),
            "fps": round(total["finished"] / wall, 2) if wall else 0.0,
            "ledger": total,
            "detections": self._tally.detections,
            "labels": dict(self._tally.labels.most_common()),
            "bottleneck": busiest.name if busiest else "",
            "stages": [meter.row() | counts(stage) for meter, stage in zip(self._meters, self._everyone, strict=False)],
            "peak_rss_mb": round(peak_rss() / 2**20, 1),
            **({"lag_ms": lag(self._tally, live)} if live else {}),
            **({"sources": each} if len(each) > 1 or live else {}),
        }


def _check(frame: Any, meter: Meter, is_foreign: bool) -> None:
    """Raise an error for what is no frame or no picture; keep the boxes of a stage that is not ours inside of it."""
    if not isinstance(frame, Frame):
        raise no_frame(frame, meter.name)
    if is_foreign:
        if mistake := no_picture(frame.image, meter.name):
            raise mistake
        if frame.detections:
            keep_inside(frame, meter.name)


def wait_for(threads: list[Thread], at_most: float = inf) -> None:
    """Wait until all have ended, or this many seconds; on Windows, Ctrl-C works only between two waits.

    One that is removed from the list meanwhile is not waited for any more.
    """
    end = monotonic() + at_most
    for thread in [*threads]:
        while thread in threads and thread.is_alive() and monotonic() < end:
            thread.join(timeout=min(0.5, end - monotonic()))


def name_of(stage: Stage) -> str:
    """A stage's name in statistics and errors: its class's, as in a pipeline file (SaveCrops: save-crops)."""
    name = getattr(stage, "__name__", None) or type(stage).__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def counts(stage: Stage) -> dict[str, dict[str, int]]:
    """What a stage counts besides frames, if it has `counts`: a dict of numbers."""
    numbers = getattr(stage, "counts", None)  # a custom stage may use this name for something else
    return {"counts": dict(numbers)} if numbers and isinstance(numbers, Mapping) else {}


def unique(names: list[str]) -> list[str]:
    """The names, with a number added to repeated ones: a, b, a (2)."""
    return [name if (n := names[:i].count(name)) == 0 else f"{name} ({n + 1})" for i, name in enumerate(names)]
