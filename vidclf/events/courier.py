"""Delivers what is in a spool to a broker, beside the pipeline, in a thread of its own.

It needs one because a broker may be away, be slow, or accept and say nothing, for as long as it likes, and no frame
may wait for that. The thread shares nothing with the stage but the spool's file and the few numbers below, each
written by one side alone; so it needs no lock.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

from vidclf.errors import describe
from vidclf.events.broker import Broker, Unreachable
from vidclf.events.spool import Spool, Turn, Waiting

log = logging.getLogger(__name__)

WINDOW = 200  # events on the way at a time
IDLE = 0.05  # seconds between two looks into an empty spool
PAUSES = (0.5, 15.0)  # seconds between two attempts to reach a broker: the first, and the longest


class Courier:
    """`with Courier(...):` events that are put into the spool are delivered, in order, at least once.

    What the broker will never take is dropped and counted: it must not stand before the others for ever.
    name: of the broker, for messages. linger: seconds that leaving the block waits for a broker that is there.
    """

    def __init__(self, broker: Broker, spool: Path, name: str, linger: float):
        self._broker, self._path, self._name, self._linger = broker, spool, name, linger
        self.delivered = self.refused = 0
        self._ending = Event()
        self._is_away = False
        self._thread = Thread(target=self._work, name="vidclf courier", daemon=True)

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        deadline = monotonic() + self._linger
        # A broker that was away a moment ago is worth no wait. What is left is in the spool.
        while self._thread.is_alive() and not self._is_away and monotonic() < deadline:
            self._thread.join(IDLE)
        if self.refused:
            log.warning("%s refused events: %d", self._name, self.refused)

    def _work(self) -> None:
        pause = PAUSES[0]
        with Turn(self._path) as turn:
            while not (self._ending.is_set() and self._is_away):
                try:
                    with Spool(self._path) as spool:
                        self._deliver(spool, turn)
                    return
                except Exception as error:  # whatever it is: a thread that ended would deliver nothing, and say nothing
                    if not self._is_away:
                        reason = error if isinstance(error, (Unreachable, OSError)) else describe(error)
                        log.warning("%s: %s; events wait in %s", self._name, reason, self._path)
                    pause = PAUSES[0] if not self._is_away else min(2 * pause, PAUSES[1])
                    self._is_away = True
                    # Jittered, so that all the clients of a broker that restarts do not come at once.
                    self._ending.wait(pause * random.uniform(0.5, 1))
                finally:
                    self._broker.close()

    def _deliver(self, spool: Spool, turn: Turn) -> None:
        """Until the end, as soon as it is our turn; raises Unreachable, OSError."""
        while not turn.take():
            if self._ending.is_set() and (self._is_away or not spool.oldest(1)):
                return
            sleep(IDLE)
        self._broker.open()
        while True:
            events = spool.oldest(WINDOW)
            if events:
                self._send(spool, events)
            elif self._ending.is_set():
                return
            else:
                self._broker.idle(IDLE)
            if self._is_away:
                log.warning("%s is back", self._name)
                self._is_away = False

    def _send(self, spool: Spool, events: list[Waiting]) -> None:
        """Send events, and forget those that the broker has taken or never will; raises Unreachable, OSError."""
        failed = self._broker.send([event.message for event in events])
        waiting = {n: error for n, error in failed.items() if isinstance(error, Unreachable)}
        spool.remove([event for n, event in enumerate(events) if n not in waiting])
        self.delivered += len(events) - len(failed)
        if (refused := failed.keys() - waiting.keys()) and not self.refused:
            n = min(refused)
            words = "%s refuses an event for %s: %s; what it refuses is dropped"
            log.warning(words, self._name, events[n].message.topic, failed[n])
        self.refused += len(refused)
        if waiting:
            raise waiting[min(waiting)]
