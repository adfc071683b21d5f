"""Limits the connections to the page: each takes a file descriptor, which the recording needs, too.

uvicorn's `limit_concurrency` answers a request with 503. A connection that sends no request stays open, and needs no
token.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MOST = 128  # connections at once, six for each browser; macOS gives a process 256 file descriptors by default
PATIENCE = 10.0  # seconds that a connection may be open without a request in progress
STUCK = 30.0  # seconds that a client may take to read what waits for it


class Connection(H11Protocol):
    """A client's connection: closed at once if there are too many, and later if no request comes.

    Whoever closes it, the transport first sends all that it holds: without end if the client reads nothing.
    """

    _deadline: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` at the first byte that waits, not only after 64 KB
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._stuck):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slower than we write; one that reads nothing for long is cut off."""
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stuck:
            self._stuck.cancel()
        super().resume_writing()

    def on_response_complete(self) -> None:
        self._await_request()  # first, since the next request may already be here
        super().on_response_complete()

    def _await_request(self) -> None:
        """Begin to wait; uvicorn waits only after a response, and no longer once a first byte has come."""
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(PATIENCE, self._close_after, self.cycle)

    def _close_after(self, cycle: RequestResponseCycle | None) -> None:
        """Close if this is still the latest request."""
        if self.cycle is cycle:
            self.transport.close()
