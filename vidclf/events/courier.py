"""Delivers the events in a spool to a broker, in its own thread beside the pipeline.

It needs a thread because a broker may be away, slow, or silent for any length of time, and no frame may wait for that.
The thread shares with the stage only the spool's file and the few numbers below, each written by one side only, so it
needs no lock.
"""

from __future__ import annotations

import logging
import random
from math import inf
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

from vidclf.errors import describe
from vidclf.events.broker import Broker, Unreachable
from vidclf.events.spool import Spool, Waiting
from vidclf.lock import NameLock

log = logging.getLogger(__name__)

WINDOW = 200  # events on the way at a time
IDLE = 0.05  # seconds between two checks of an empty spool
STUCK = 1.0  # seconds without a delivery by the process whose turn it is, after which an ending one waits no longer
PAUSES = (0.5, 15.0)  # seconds between two attempts to reach a broker: the first, and the longest


class Courier:
    """`with Courier(...):` events that are put into the spool are delivered, in order, at least once.

    Events that the broker will never accept are dropped and counted, so that they do not block the others forever.
    name: of the broker, for messages. linger: seconds that leaving the block waits for a broker that is reachable.
    """

    def __init__(self, broker: Broker, spool: Path, name: str, linger: float):
        self._broker, self._path, self._name, self._linger = broker, spool, name, linger
        self.delivered = self.refused = 0
        self._ending = Event()
        self._until = inf  # when leaving the block ends at the latest
        self._is_away = False
        self.problem = ""  # why events are waiting, in words; other threads read it
        self._sent: set[int] = set()  # delivered, but still in the spool: there was no space to delete them
        self._thread = Thread(target=self._work, name="vidclf courier", daemon=True)

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._until = monotonic() + self._linger
        self._ending.set()
        # Do not wait for a broker that was just unreachable: the remaining events stay in the spool.
        while self._thread.is_alive() and not self._is_away and monotonic() < self._until:
            self._thread.join(IDLE)
        if self.refused:
            log.warning("%s rejected events: %d", self._name, self.refused)

    def _work(self) -> None:
        pause = PAUSES[0]
        lock = NameLock(self._path)
        while not (self._ending.is_set() and self._is_away):
            try:
                with Spool(self._path) as spool:
                    self._deliver(spool, lock)
                break
            except Exception as error:  # any error: a thread that died would silently deliver nothing
                lock.release()  # another process may reach it, with another password or certificate
                reason = error if isinstance(error, (Unreachable, OSError)) else describe(error)
                self.problem = f"{self._name}: {reason}; events are waiting in {self._path}"
                if not self._is_away:
                    log.warning("%s", self.problem)
                pause = PAUSES[0] if not self._is_away else min(2 * pause, PAUSES[1])
                self._is_away = True
                # Jittered, so that the clients of a restarted broker do not all reconnect at once.
                self._ending.wait(pause * random.uniform(0.5, 1))
            finally:
                self._broker.close()
        lock.release()

    def _deliver(self, spool: Spool, lock: NameLock) -> None:
        """Deliver events until the end, once no other process that shares the spool does; raises Unreachable, OSError.

        lock: of the spool, kept for as long as the broker can be reached.
        """
        oldest, since = spool.oldest(1), monotonic()
        while not lock.acquire():
            self.problem = ""  # who has it delivers, or will say what is wrong
            if self._ending.is_set():
                before, oldest = oldest, spool.oldest(1)
                since = since if oldest == before else monotonic()
                if self._is_away or not oldest or monotonic() > min(since + STUCK, self._until):
                    return
            sleep(IDLE)
        self._broker.open()
        while True:
            is_ending = self._ending.is_set()  # asked first: until then, the stage may put events into the spool
            events = [each for each in spool.oldest(WINDOW + len(self._sent)) if each.id not in self._sent]
            if events:
                self._send(spool, events)
            elif self._sent and not is_ending:
                self._forget(spool)
                self._broker.idle(IDLE)
            elif is_ending:
                self._forget(spool)
                return
            else:
                self._broker.idle(IDLE)
            if self._is_away:
                log.warning("%s is reachable again", self._name)
                self._is_away, self.problem = False, ""

    def _send(self, spool: Spool, events: list[Waiting]) -> None:
        """Send events, and forget those that the broker accepts or never will; raises Unreachable, OSError."""
        failed = self._broker.send([event.message for event in events])
        waiting = {n: error for n, error in failed.items() if isinstance(error, Unreachable)}
        self._sent |= {event.id for n, event in enumerate(events) if n not in waiting}
        self._forget(spool)
        self.delivered += len(events) - len(failed)
        if (refused := failed.keys() - waiting.keys()) and not self.refused:
            n = min(refused)
            words = "%s rejected an event for %s: %s; rejected events are dropped"
            log.warning(words, self._name, events[n].message.topic, failed[n])
        self.refused += len(refused)
        if waiting:
            raise waiting[min(waiting)]

    def _forget(self, spool: Spool) -> None:
        """Remove what was delivered from the spool; later, if there is no space for that now."""
        try:
            spool.remove(self._sent)
            self._sent.clear()
        except OSError as error:
            log.debug("delivered events cannot be removed yet: %s", error)
