"""The interface of a broker that the courier uses, and the parsing of a broker's URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from vidclf.errors import UsageError
from vidclf.events.message import Message

SILENCE = 10.0  # seconds that a broker may take to answer before it counts as gone


class Kind(NamedTuple):
    """A kind of broker."""

    connection: str  # module:class, a `Broker`
    package: str  # that it needs
    extra: str  # of vidclf, which installs the package
    port: int  # by default
    topic: str  # by default


MQTT = Kind("vidclf.events.mqtt:Mqtt", "paho", "mqtt", 1883, "vidclf/{source}/{label}")
REDIS = Kind("vidclf.events.redis:Redis", "redis", "redis", 6379, "vidclf:{source}")
BROKERS = {"mqtt": MQTT, "mqtts": MQTT._replace(port=8883), "redis": REDIS, "rediss": REDIS}  # by a URL's scheme


class Unreachable(Exception):
    """The broker is away, does not answer, or refuses the connection; the message holds no credentials."""


class Refused(Exception):
    """The broker is reachable, but will never accept this message."""


class Broker(Protocol):
    """A connection to a broker; used by one thread."""

    def open(self) -> None:
        """Connect; raises Unreachable."""

    def send(self, messages: Sequence[Message]) -> Mapping[int, Refused | Unreachable]:
        """Send messages and wait for confirmation; returns the failed ones by index. Raises Unreachable."""

    def idle(self, seconds: float) -> None:
        """Keep the connection alive while there is nothing to send; raises Unreachable."""

    def close(self) -> None:
        """Disconnect; never raises."""


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address and credentials."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    path: str = ""
    ca: str | None = None  # a file of certificates to trust besides the system's

    @property
    def tls(self) -> bool:
        return self.scheme in ("mqtts", "rediss")

    def __str__(self) -> str:
        """The address without credentials, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_url(url: str, ca: str | None = None) -> Address:
    """`mqtts://user:password@host:port`; UsageError, which holds no password, for anything else."""
    choices = ", ".join(f"{scheme}://" for scheme in BROKERS)
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        raise UsageError("url is not a URL such as mqtt://user:password@host:1883") from None
    if scheme not in BROKERS:
        raise UsageError(f"url must begin with {choices}, got {scheme + '://' if scheme else 'text without ://'}")
    if set(url) & {"?", "#"} or "@" in parts.path:  # part of a password, which messages would reveal
        raise UsageError("url must not have options; write ?, # and / in its user and password as %3F, %23 and %2F")
    if not host:
        raise UsageError(f"url has no host: {scheme}://")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    path = parts.path.rstrip("/")
    if path and (scheme.startswith("mqtt") or not path[1:].isdigit()):
        wanted = "only the number of a database" if scheme.startswith("redis") else "nothing"
        raise UsageError(f"url may have {wanted} after the host, got {path}")
    kind = BROKERS[scheme]
    if find_spec(kind.package) is None:
        raise UsageError(f'{scheme}:// needs a package that is not installed: pip install "vidclf[{kind.extra}]"')
    return Address(scheme, host, port or kind.port, user or None, password, path, ca)


def usual_topic(address: Address) -> str:
    """The default template for topics, or for names of streams."""
    return BROKERS[address.scheme].topic


def connect(address: Address, **options: object) -> Broker:
    """The broker at an address, not yet opened."""
    module, _, name = BROKERS[address.scheme].connection.partition(":")
    broker: Broker = getattr(import_module(module), name)(address, **options)
    return broker
