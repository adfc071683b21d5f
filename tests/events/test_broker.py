"""What a broker's URL may be."""

from __future__ import annotations

import pytest

from vidclf.errors import UsageError
from vidclf.events.broker import parse_url


def test_a_password_may_hold_anything_as_long_as_it_is_encoded() -> None:
    pytest.importorskip("paho.mqtt")
    address = parse_url("mqtt://us%40er:12%2334%3F%2F@host")
    assert (address.user, address.password, str(address)) == ("us@er", "12#34?/", "mqtt://host:1883")


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://user:12#34@host",
        "mqtt://user:12?34@host",
        "mqtt://user:12/34@host",
        "redis://host?ssl_cert_reqs=none",
        "redis://host/0#34",
        "mqtt://host?",
    ],
)
def test_what_may_be_half_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as told:
        parse_url(url)
    words = "url must not have options; write ?, # and / in its user and password as %3F, %23 and %2F"
    assert str(told.value) == words
