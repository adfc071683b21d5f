"""An event's content, the key that identifies duplicates of it, and its topic."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from vidclf.errors import UsageError

SCHEMA = 1
NAMESPACE = uuid5(NAMESPACE_URL, "vidclf/event")
FIELDS = ("source", "kind", "label", "track", "event")  # the fields that a topic may contain
# Characters that MQTT allows in no topic, or for which a broker may close the connection (MQTT 5, 1.5.4): control
# characters, surrogates and non-characters.
FORBIDDEN = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
LONGEST = 100  # characters of one field in a topic; MQTT's limit for the whole topic is 65,535 bytes


class Message(NamedTuple):
    """One event, as it is delivered."""

    topic: str
    key: str
    payload: str  # JSON


def make_message(event: str, row: dict[str, Any], topic: str, live: bool) -> Message:
    """The message about one row of a record, with `at`: `event` is the event's name, `topic` a template.

    The key is a name-based UUID (version 5) of the event's content. A file that is read again gives the same keys
    again, so theirs leave `at` out; a live source's do not, since frame numbers restart with every run.
    """
    said = {"schema": SCHEMA, "event": event, **row}
    same = {name: value for name, value in said.items() if live or name != "at"}
    key = str(uuid5(NAMESPACE, json.dumps(same, sort_keys=True, ensure_ascii=False)))
    payload = json.dumps({"key": key, **said}, ensure_ascii=False)
    return Message(fill_topic(topic, {**row, "event": event}), key, payload)


def check_topic(template: str) -> str:
    """Return the template if it is valid; otherwise raise a UsageError that says what is allowed."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"topic {template!r} is not a valid template: {error}") from None
    for text, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            allowed = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise UsageError(f"topic {template!r} may hold {allowed}, got {{{field}}}")
        if re.search(f"[+#{FORBIDDEN}]", text):
            raise UsageError(f"topic {template!r} must not hold +, # or control characters")
    if not template:
        raise UsageError("topic must not be empty")
    return template


def fill_topic(template: str, row: dict[str, Any]) -> str:
    """The topic of one event; characters that a field must not contain, such as / + #, become -."""
    return template.format(**{name: clean(row.get(name)) for name in FIELDS})


def clean(value: Any) -> str:
    """A value as one level of a topic; `none` if it is missing."""
    text = "" if value is None else str(value)
    return re.sub(rf"[/+#$\s{FORBIDDEN}]+", "-", text).strip("-")[-LONGEST:] or "none"
