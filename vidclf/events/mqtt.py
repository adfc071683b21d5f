"""An MQTT broker, through Eclipse paho: QoS 1, a status topic with a last will, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

from vidclf.events.broker import SILENCE, Address, Refused, Unreachable
from vidclf.events.message import Message

KEEPALIVE = 20  # seconds between signs of life; after 1.5 times as long the broker publishes the last will
STEP = 0.05  # seconds that one check of the socket may wait


class Mqtt:
    """MQTT 3.1.1, which every broker supports. paho's network loop runs in the courier's thread, not in its own.

    status: a topic that holds, retained, `online` while we are connected and `offline` afterwards, for any reason.
    Each connection is a new client: unconfirmed messages are still in the spool, so there is no state to keep.
    """

    def __init__(self, address: Address, status: str = "", **_: object):
        self._address, self._status = address, status
        self._client: Any = None

    def open(self) -> None:
        from paho.mqtt.client import CallbackAPIVersion, Client

        address = self._address
        client = self._client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.max_inflight_messages_set(0)  # unlimited: the courier decides how many
        client.max_queued_messages_set(0)
        answer: list[Any] = []
        client.on_connect = lambda client, data, flags, reason, properties: answer.append(reason)
        if address.user is not None:
            client.username_pw_set(address.user, address.password)
        if self._status:
            client.will_set(self._status, "offline", qos=1, retain=True)
        try:
            if address.tls:
                context = ssl.create_default_context()
                if address.ca:
                    context.load_verify_locations(address.ca)
                    # Since 3.13 Python is strict about extensions that certificates made at home mostly lack.
                    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
                client.tls_set_context(context)
            client.connect(address.host, address.port, KEEPALIVE)
        except (OSError, ValueError) as error:
            raise Unreachable(getattr(error, "strerror", None) or str(error)) from None
        self._until(lambda: bool(answer), "it accepts connections, but does not answer")
        if answer[0].is_failure:
            raise Unreachable(f"it refused the connection: {answer[0]}")
        if self._status:
            client.publish(self._status, "online", qos=1, retain=True)

    def send(self, messages: Sequence[Message]) -> dict[int, Refused | Unreachable]:
        # Without `wait_for_publish`, which waits for a network thread that we do not have.
        on_the_way = [self._client.publish(m.topic, m.payload.encode(), qos=1) for m in messages]
        try:
            # They are confirmed in order. Each has the time limit for itself: on a slow link, all of them take longer.
            for info in on_the_way:
                self._until(partial(is_confirmed, info), "it does not confirm messages")
        except Unreachable as error:  # not raised: those that are confirmed must not be sent again
            return {n: error for n, info in enumerate(on_the_way) if not is_confirmed(info)}
        return {}

    def idle(self, seconds: float) -> None:
        self._step(seconds)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(OSError, ValueError, RuntimeError):
            if client.is_connected():
                if self._status:
                    client.publish(self._status, "offline", qos=1, retain=True)
                client.disconnect()
                client.loop(STEP)
            if client.socket() is not None:
                client.socket().close()

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        deadline = monotonic() + SILENCE
        while not done():
            if monotonic() > deadline:
                raise Unreachable(otherwise)
            self._step(STEP)

    def _step(self, seconds: float) -> None:
        """One turn of paho's loop: write, read, keep alive."""
        from paho.mqtt.client import MQTTErrorCode, error_string

        code = self._client.loop(seconds)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Unreachable(error_string(code).rstrip("."))


def is_confirmed(info: Any) -> bool:
    """Whether the broker has confirmed a message; paho raises if the connection was lost before it was sent."""
    try:
        return bool(info.is_published())
    except (RuntimeError, ValueError):
        return False
