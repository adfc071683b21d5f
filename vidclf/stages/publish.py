"""Publish: sends what is seen to a message broker, one JSON message per event."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Literal

from vidclf.errors import UsageError
from vidclf.events.broker import connect, parse_url, usual_topic
from vidclf.events.changes import Change, Changes
from vidclf.events.courier import Courier
from vidclf.events.message import check_topic, clean, make_message
from vidclf.events.spool import Spool, usual_path
from vidclf.frame import Frame, Source
from vidclf.limits import check_choice, check_range
from vidclf.rows import since_1970, to_row, utc
from vidclf.stages._awaited import awaited

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks for lost cameras while no frame comes


class Publish:
    """Send events to MQTT (`mqtt://`, `mqtts://`) or to Redis streams (`redis://`, `rediss://`), each at least once.

    url: the broker, as `mqtts://user:password@host:port`; the credentials are never shown. on: `detection` sends every
    detection; `track` only when a tracked object appears, changes its label, or is gone.
    A message holds the columns of a record's row, when the frame was captured (`at`), and a `key`: a message whose key
    was received before is a duplicate.
    topic: may hold {source}, {kind}, {label}, {track}, {event}; by default vidclf/{source}/{label}, and for Redis the
    stream vidclf:{source}. gone: seconds without a sighting after which an object counts as gone, even if its
    camera is lost meanwhile.
    spool: the file in which events wait until the broker confirms them (by default one per broker, in the user's own
    folder); the next run delivers those that a run, even a killed one, left there. Machines that share that folder over
    a network need one each, for SQLite locks files on one machine only. max_events, max_mb: limits of the
    spool; beyond them the oldest events are dropped and counted. linger: seconds to wait for the broker at the end.
    ca: a file of certificates to trust besides the system's. status: the topic that says online or offline (MQTT;
    vidclf-status/HOSTNAME by default, "" for none). length: about how many entries a Redis stream keeps.
    A broker that is away, slow or silent never delays a frame.
    """

    def __init__(
        self,
        url: str = "",
        on: Literal["detection", "track"] = "detection",
        topic: str | None = None,
        gone: float = 2.0,
        spool: str | None = None,
        max_events: int = 100_000,
        max_mb: int = 100,
        linger: float = 5.0,
        ca: str | None = None,
        status: str | None = None,
        length: int = 100_000,
    ):
        if not url:
            raise UsageError("publish needs a url, such as mqtt://localhost or redis://localhost")
        check_choice("on", on, ("detection", "track"))
        check_range("gone", gone, 0, 86_400, "seconds")
        check_range("max_events", max_events, 1, 100_000_000)
        check_range("max_mb", max_mb, 1, 1_000_000)
        check_range("linger", linger, 0, 3600, "seconds")
        check_range("length", length, 1, 1_000_000_000)
        if ca is not None and not Path(ca).is_file():
            raise UsageError(f"ca: no such file: {ca}")
        self._address = parse_url(url, ca)
        self.on, self.gone, self.linger, self.length = on, gone, linger, length
        self.topic = check_topic(usual_topic(self._address) if topic is None else topic)
        self.status = f"vidclf-status/{clean(socket.gethostname())}" if status is None else status
        if set(self.status) & set("+#"):
            raise UsageError(f"status must be a topic without the wildcards + and #, got {self.status!r}")
        self.bounds = max_events, max_mb << 20
        self.spool = usual_path(f"{self._address.user} {self._address}") if spool is None else Path(spool)
        self.counts = {"events": 0, "delivered": 0, "waiting": 0, "dropped": 0}  # of the last run, or of this one
        self._courier: Courier | None = None
        Spool(self.spool, check=True).close()  # report a bad folder now rather than during the run

    @property
    def problem(self) -> str:
        """Why events are waiting, in words, for the page; empty if they are not."""
        return self._courier.problem if self._courier else ""

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        changes: dict[Source, Changes] = {}
        is_tracked = has_objects = False
        self.counts |= dict.fromkeys(self.counts, 0)
        broker = connect(self._address, status=self.status, length=self.length)
        courier = self._courier = Courier(broker, self.spool, str(self._address), self.linger)
        counted = 0.0  # when the waiting events were counted, by `monotonic`
        with Spool(self.spool, *self.bounds) as spool:
            try:
                with courier:
                    for frame in awaited(frames, LOOK):
                        if frame is not None:
                            is_tracked = is_tracked or any(d.track is not None for d in frame.detections)
                            has_objects = has_objects or bool(frame.detections)
                            self._put(spool, frame.source, self._events(frame, changes))
                        for source, seen in changes.items():
                            if source.state != "connected":  # not by time alone: a slow pipeline's frames come late
                                self._put(spool, source, seen.pass_time())
                        self.counts["delivered"] = courier.delivered
                        if monotonic() > counted + LOOK:
                            counted = monotonic()
                            with suppress(OSError):
                                self.counts["waiting"] = spool.span()
                        if frame is not None:
                            yield frame
                    for source, seen in changes.items():
                        self._put(spool, source, seen.end())
            finally:
                if self.on == "track" and has_objects and not is_tracked:
                    log.warning(
                        "publish has no events: no detection has a track; put track after the detector (--track)"
                    )
                self.counts["delivered"] = courier.delivered
                self._count_waiting(spool)
                self._tell()
                self.counts["dropped"] += courier.refused  # already logged by the courier

    def _events(self, frame: Frame, changes: dict[Source, Changes]) -> Iterator[Change]:
        at = utc(since_1970(frame.captured))
        rows = [to_row(frame, detection) | {"at": at} for detection in frame.detections]
        if self.on == "detection":
            yield from (("detection", row) for row in rows)
            return
        if frame.source not in changes:
            changes[frame.source] = Changes(self.gone)
        yield from changes[frame.source].update(frame.time, rows)

    def _put(self, spool: Spool, source: Source, events: Iterable[Change]) -> None:
        messages = [make_message(name, row, self.topic, source.live) for name, row in events]
        if not messages:
            return
        self.counts["events"] += len(messages)
        try:
            dropped = spool.put(messages)
            reason = f"{self.spool} is full; the oldest events are dropped"
        except OSError as error:  # a full disk must not stop the frames
            dropped, reason = len(messages), f"events are lost: {error}"
        if dropped and not self.counts["dropped"]:
            log.warning("%s", reason)
        self.counts["dropped"] += dropped

    def _count_waiting(self, spool: Spool) -> None:
        self.counts["waiting"] = 0
        try:
            self.counts["waiting"] = len(spool)
        except OSError as error:  # a lost disk must not make a run fail at its end
            log.warning("cannot count the waiting events: %s", error)

    def _tell(self) -> None:
        if self.counts["dropped"]:
            log.warning("%d events were dropped", self.counts["dropped"])
        if self.counts["waiting"]:
            words = "%d events are waiting in %s for %s; the next run delivers them"
            log.warning(words, self.counts["waiting"], self.spool, self._address)
