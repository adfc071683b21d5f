"""The web server and its thread.

uvicorn needs an event loop, which needs its own thread. The thread reads `Board`, without a lock, and
`Pipeline.stats()`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from vidclf.errors import UsageError, VidclfError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 1  # seconds that open connections have to finish at the end; those that never read are cut off then
BACKLOG = 32  # connections that may wait to be accepted: asyncio accepts all of them before it closes the first
SEND_BUFFER = 256 << 10  # bytes: by default the system takes megabytes, which a slow viewer sees seconds later


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; an error with the reason if that is not possible.

    It is a UsageError only if it can never work. An address may come with the network, and a port may become free: a
    service must try again then, which exit code 2 would keep it from.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    failure, absent = f"cannot serve on {address}", f"{host} is not an address of this machine"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # its connections inherit it
        return listening
    except socket.gaierror:
        raise VidclfError(f"{failure}: {absent}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = f"{address.rpartition(':')[0]}:{port + 1}"
            raise VidclfError(f"{failure}: the port is in use; choose another one, such as {other}") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise VidclfError(f"{failure}: {absent}") from None
        raise UsageError(f"{failure}: {error.strerror or error}") from None


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serve an ASGI application in its own thread while the block lasts."""
    import uvicorn

    from vidclf.web.connection import Connection

    config = uvicorn.Config(
        app,
        loop="asyncio:SelectorEventLoop",  # Windows' usual one prints a traceback for each browser that leaves
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # its messages would disturb the progress display; ours are in `guard`
        access_log=False,  # addresses may hold the token
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    # A daemon, so that a connection that does not close cannot keep the program from ending.
    thread = Thread(target=server.run, args=([listening],), name="vidclf web server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE + 2)
        listening.close()
