"""Redis streams: one entry an event, with the fields `key` and `event`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import sleep
from typing import Any

from vidclf.events.broker import SILENCE, Address, Unreachable
from vidclf.events.message import Message


class Redis:
    """XADD to the stream that a message's topic names.

    length: about how many entries a stream keeps; Redis forgets its oldest.
    """

    def __init__(self, address: Address, length: int = 100_000, **_: object):
        self._address, self._length = address, length
        self._client: Any = None

    def open(self) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        address = self._address
        tls = {"ssl": True, "ssl_ca_certs": address.ca} if address.tls else {}
        self._client = redis.Redis(
            host=address.host,
            port=address.port,
            db=int(address.path[1:] or 0),
            username=address.user,
            password=address.password,
            socket_timeout=SILENCE,
            socket_connect_timeout=SILENCE,
            retry=Retry(NoBackoff(), 0),  # the courier tries again, and says so
            **tls,
        )
        self._ask(self._client.ping)

    def send(self, messages: Sequence[Message]) -> None:
        batch = self._client.pipeline(transaction=False)
        for message in messages:
            fields = {"key": message.key, "event": message.payload}
            batch.xadd(message.topic, fields, maxlen=self._length, approximate=True)
        self._ask(batch.execute)

    def idle(self, seconds: float) -> None:
        sleep(seconds)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                client.close()

    def _ask(self, question: Any) -> None:
        import redis

        try:
            question()
        except (redis.RedisError, OSError, ValueError) as error:  # ValueError: a host that no name can be
            raise Unreachable(" ".join(str(error).split()) or type(error).__name__) from None
