"""Singer messages in few words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Message = dict[str, Any]


def schema(
    stream: str,
    properties: Mapping[str, Any] | Iterable[str] = (),
    keys: Iterable[str] = (),
    **more: Any,
) -> Message:
    """Return a SCHEMA message; properties given by name alone have any type."""
    if not isinstance(properties, dict):
        properties = {name: {} for name in properties}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties, **more},
        "key_properties": list(keys),
    }


def record(stream: str, **content: Any) -> Message:
    """Return a RECORD message."""
    return {"type": "RECORD", "stream": stream, "record": content}


def state(value: Any) -> Message:
    """Return a STATE message."""
    return {"type": "STATE", "value": value}


def event(name: Any, person: Any = None, stream: str = "tracks") -> Message:
    """Return an event with a name of its own."""
    person = f"person-{name}" if person is None else person
    return record(stream, userId=person, event=str(name), messageId=f"m-{name}")


def line_of(message: Mapping[str, Any] | str | bytes) -> bytes:
    """Return a message as a line; text and bytes are the content of one."""
    if isinstance(message, bytes):
        return message + b"\n"
    text = message if isinstance(message, str) else json.dumps(message)
    return text.encode() + b"\n"


class Singer:
    """The same messages, as a fixture."""

    schema = staticmethod(schema)
    record = staticmethod(record)

    @staticmethod
    def state(**value: Any) -> Message:
        """Return a STATE message."""
        return state(value)
