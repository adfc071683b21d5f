"""Redis streams: one entry per event, with the fields `key` and `event`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from time import sleep
from typing import Any

from vidclf.errors import one_line
from vidclf.events.broker import SILENCE, Address, Refused, Unreachable
from vidclf.events.message import Message

PASSING = ("MISCONF", "NOREPLICAS", "BUSY")  # prefixes of temporary errors that the package has no class for


class Redis:
    """Adds each message, by XADD, to the stream named by its topic.

    length: about how many entries a stream keeps; Redis drops the oldest.
    """

    def __init__(self, address: Address, length: int = 100_000, **_: object):
        self._address, self._length = address, length
        self._client: Any = None

    def open(self) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        address = self._address
        # Before 6.0, redis-py accepted the certificate of any host.
        tls = {"ssl": True, "ssl_ca_certs": address.ca, "ssl_check_hostname": True} if address.tls else {}
        self._client = redis.Redis(
            host=address.host,
            port=address.port,
            db=int(address.path[1:] or 0),
            username=address.user,
            password=address.password,
            socket_timeout=SILENCE,
            socket_connect_timeout=SILENCE,
            retry=Retry(NoBackoff(), 0),  # the courier retries, and logs it
            **tls,
        )
        self._ask(self._client.ping)

    def send(self, messages: Sequence[Message]) -> dict[int, Refused | Unreachable]:
        batch = self._client.pipeline(transaction=False)
        for message in messages:
            fields = {"key": message.key, "event": message.payload}
            batch.xadd(message.topic, fields, maxlen=self._length, approximate=True)
        # No transaction: if one is rejected, the others are in their streams, and must not be sent again.
        answers = self._ask(lambda: batch.execute(raise_on_error=False))
        return {n: _failure(answer) for n, answer in enumerate(answers) if isinstance(answer, Exception)}

    def idle(self, seconds: float) -> None:
        sleep(seconds)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                client.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        import redis

        try:
            return question()
        except (redis.RedisError, OSError, ValueError) as error:  # ValueError: an invalid host name
            raise Unreachable(one_line(error)) from None


def _failure(error: Exception) -> Refused | Unreachable:
    """Unreachable if the server cannot accept any message now, Refused if it will never accept this one."""
    from redis import exceptions

    full, cluster = exceptions.OutOfMemoryError, (exceptions.ClusterDownError, exceptions.TryAgainError)
    states = (full, exceptions.ReadOnlyError, *cluster, exceptions.AskError)
    passing = isinstance(error, states) or str(error).startswith(PASSING)
    return Unreachable(one_line(error)) if passing else Refused(one_line(error))
