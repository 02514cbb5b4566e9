"""Events, page views and screen views, and their IDs.

The same record always gets the same ULID. Customer.io ignores an event whose ``id`` it
has received before (schema ``dedupe_id``), so retried events are deduplicated.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from ulid import ULID

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import encode_anything
from target_customerio.mapping.actions import ACTIONS
from target_customerio.mapping.call import lookup, lookup_in_context
from target_customerio.mapping.fields import is_blank
from target_customerio.mapping.identity import PersonFinder, identifier
from target_customerio.track_api.operations import (
    PersonActivity,
    PersonEvent,
    PersonPage,
    PersonScreen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.mapping.call import Call, StreamContext
    from target_customerio.track_api.operations import JSON, Operation


ANONYMOUS_NAME_BYTES: Final = 100
"""Maximum length of an anonymous event's name (the destination's documentation)."""

_person: Final = PersonFinder(anonymous=True)

_Event = TypeVar("_Event", bound=PersonActivity)


def _name_of(value: JSON, field: str) -> str | None:
    """Return the name of an event, page or screen; ``None`` if blank."""
    if value is None:
        return None
    if isinstance(value, str):
        return None if is_blank(value) else value
    raise RejectedRecord("invalid_type", field, "the name must be text")


def _event(
    kind: type[_Event],
    name: str,
    call: Call,
    stream: StreamContext,
    event_key: str,
) -> _Event:
    """Return the operation of an event or view; its ID depends on `event_key`."""
    person = _person.find(call, stream) or _person.require(call, stream)
    return kind(
        identifiers=person,
        id=stream.event_id(call, event_key),
        name=_cut(name) if "anonymous_id" in person else name,
        timestamp=call.time(),
        attributes=stream.cleaner.encoded(call.body, call.dates),
    )


def _cut(name: str) -> str:
    """Cut a name to the maximum of an anonymous event, between characters."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= ANONYMOUS_NAME_BYTES:
        return name
    return encoded[:ANONYMOUS_NAME_BYTES].decode(errors="ignore")


def track(call: Call, stream: StreamContext) -> Operation:
    """Convert a track call to an event, or to the action of its event name."""
    fields = call.fields
    name = _name_of(fields.get("event_text"), "event_text") or _name_of(
        fields.get("event"), "event"
    )
    if name is None:
        raise RejectedRecord("required", "event", "missing event name")
    action = stream.settings.action_events.get(name.strip())
    if action is not None:
        operation = ACTIONS[action].act(call, stream)
        if operation is not None:
            return operation
    return _event(PersonEvent, name, call, stream, f"track:{name}")


def page(call: Call, stream: StreamContext) -> PersonPage:
    """Convert a page call."""
    name = (
        _name_of(call.fields.get("name"), "name")
        or _name_of(lookup(call.body, "url"), "properties.url")
        or _name_of(lookup_in_context(call.context, "page", "url"), "context.page.url")
    )
    if name is None:
        raise RejectedRecord("required", "name", "missing name or URL of the page view")
    return _event(PersonPage, name, call, stream, f"page:{name}")


VIEWED_EVENT = "Viewed {} Screen"
NAMELESS = "Undefined"


def screen(call: Call, stream: StreamContext) -> PersonScreen | PersonEvent:
    """Convert a screen call to a screen view, or to an event by the setting."""
    name = (
        _name_of(call.fields.get("name"), "name")
        or _name_of(call.fields.get("event"), "event")
        or _name_of(lookup(call.body, "name"), "properties.name")
    )
    event_key = f"screen:{name or NAMELESS}"
    if stream.settings.screen_events == "viewed_event":
        viewed = VIEWED_EVENT.format(name or NAMELESS)
        return _event(PersonEvent, viewed, call, stream, event_key)
    if name is None:
        raise RejectedRecord("required", "name", "missing name of the screen view")
    return _event(PersonScreen, name, call, stream, event_key)


_HASHER: Final = hashlib.blake2b(digest_size=13)
"""Copied for each event, which is faster than creating one."""

_ULID_CHARACTERS: Final = 26

MAX_ZEROS: Final = 100
"""Maximum number of trailing zeros that are written out."""


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID in its canonical form, in any case."""
    if len(text) != _ULID_CHARACTERS:
        return False
    try:
        return str(ULID.from_str(text)) == text.upper()
    except ValueError:
        return False


def _ulid_of(text: str) -> str:
    """Return a ULID derived from a text.

    The first 16 characters of a ULID's alphabet are the hexadecimal digits, so 100 bits
    of a hash in hexadecimal form are a valid ULID.
    """
    hasher = _HASHER.copy()
    try:
        hasher.update(text.encode())
    except UnicodeEncodeError:  # a lone surrogate
        hasher.update(text.encode(errors="surrogatepass"))
    return "0" + hasher.hexdigest()[1:].upper()


class EventIds:
    """Derives the IDs of one stream's events.

    Names are hashed with their lengths and keys as JSON, so that no two events are
    hashed as the same text.
    """

    def __init__(
        self,
        stream: str,
        key_properties: Sequence[str],
        draw: Callable[[], str],
        *,
        mapped_stream: str | None = None,
        is_shared: bool = False,
        key_is_mapped: bool = False,
    ) -> None:
        """Prepare the texts that the IDs are derived from."""
        mapped_stream = stream if mapped_stream is None else mapped_stream
        self._keys = tuple(sorted(key_properties))
        self._key_is_mapped = key_is_mapped
        self._is_shared = is_shared
        self._message = f"message:{_with_length(mapped_stream) if is_shared else ''}"
        self._row = f"row:{_with_length(stream)}{_with_length(mapped_stream)}"
        self._id_is_the_key = len(self._keys) == 1 and self._keys[0].lower() == "id"
        self._draw = draw

    def of(self, call: Call, event_key: str) -> str:
        """Return the ID of an event with a key like ``track:Order Completed``."""
        message_id = call.fields.get("messageId")
        # Fast path for the common case: two function calls less.
        if (
            type(message_id) is not str
            or not message_id.isascii()
            or message_id.isspace()
        ):
            message_id = self._message_id(call)
        if message_id is None:
            return self._of_row(call, event_key)
        if (
            len(message_id) == _ULID_CHARACTERS
            and not call.flat
            and not self._is_shared
            and is_ulid(message_id)
        ):
            return message_id
        return _ulid_of(f"{self._message}{len(event_key)}:{event_key}{message_id}")

    def _of_row(self, call: Call, event_key: str) -> str:
        """Derive an ID from the row's key; return a random one without a key."""
        key = [self._key_value(call, column) for column in self._keys]
        if not key or None in key:
            return self._draw()
        try:
            text = encode_anything([*zip(self._keys, key, strict=True)]).decode()
        except TypeError:  # the result of a stream map expression
            raise RejectedRecord(
                "invalid_type",
                ".".join(self._keys),
                "a key property cannot be written as JSON",
            ) from None
        return _ulid_of(f"{self._row}{len(event_key)}:{event_key}{text}")

    def _key_value(self, call: Call, column: str) -> JSON:
        """Return a key value as sent by the tap, unless stream maps set the key.

        An expression in a key column may give several rows the same value.
        """
        value = None
        if call.arrived is not None and not self._key_is_mapped:
            value = call.arrived.get(column)
        return _plain(call.record.get(column) if value is None else value)

    def _message_id(self, call: Call) -> str | None:
        """Return the message ID; in a warehouse row, the key ``id`` if there is none.

        There the same event has the same ID in two tables: the one of all events and
        the one of the event's name.
        """
        message_id = call.fields.get("messageId")
        if message_id is not None:
            return identifier(message_id, "messageId")
        if self._id_is_the_key and call.shape.is_of_warehouse:
            key = call.fields.get("id")
            if isinstance(key, str):
                return identifier(key, "id")
        return None


def _with_length(name: str) -> str:
    return f"{len(name)}:{name}"


def _plain(value: JSON) -> JSON:
    """Return equal numbers in the same form: 1.0 as 1, and 1.50 as 1.5."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    plain = text.rstrip("0") or "0"
    exponent = int(exponent) + len(text) - len(plain)
    if 0 <= exponent <= MAX_ZEROS:
        return int(f"{'-' * sign}{plain}{'0' * exponent}")
    return Decimal((sign, tuple(map(int, plain)), exponent))
