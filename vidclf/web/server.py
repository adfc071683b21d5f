"""The web server and its thread.

uvicorn needs an event loop, and a loop needs a thread that does nothing else. The thread shares no lock with the
pipeline's: it reads what `Board` holds and what `Pipeline.stats()` tells.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from vidclf.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE = 1  # seconds for which open connections may finish at the end; those who never read are cut off then
CONNECTIONS = 512  # at once; more are told 503


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; UsageError in words where there can be none."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except socket.gaierror:
        raise UsageError(f"cannot serve on {address}: {host} is not an address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"another program listens there; take another port, as in {address.rpartition(':')[0]}:{port + 1}"
        elif error.errno == errno.EADDRNOTAVAIL:
            hint = f"{host} is not an address of this machine"
        else:
            hint = error.strerror or str(error)
        raise UsageError(f"cannot serve on {address}: {hint}") from None


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serve an ASGI application in a thread of its own, for as long as the block lasts."""
    import uvicorn

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # its words would come between the progress; ours are in `guard`
        access_log=False,  # addresses may hold the token
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    # A daemon, so that a connection that will not end cannot keep the program from ending.
    thread = Thread(target=server.run, args=([listening],), name="vidclf web server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE + 2)
        listening.close()
