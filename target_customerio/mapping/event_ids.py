"""Event ids: the same record always yields the same ULID.

Customer.io ignores an event whose ``id`` it has seen (schema ``dedupe_id``), so that a
record sent again is no second event.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ulid import ULID

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import encode_anything
from target_customerio.mapping.identity import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.mapping.record import Call
    from target_customerio.track_api.operations import JSON


_HASHER: Final = hashlib.blake2b(digest_size=13)
"""Copied for each event, which is quicker than to set one up."""

_ULID_CHARACTERS: Final = 26

MOST_ZEROS: Final = 100
"""Zeros at the end of a number up to which it is written in full."""


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID as its specification writes one."""
    if len(text) != _ULID_CHARACTERS:
        return False
    try:
        return str(ULID.from_str(text)) == text.upper()
    except ValueError:
        return False


def _ulid_of(text: str) -> str:
    """Make a ULID that depends on nothing but a text.

    The alphabet of a ULID begins with the digits of a hexadecimal number, so that 100
    bits of a hash, written as one, stand in a ULID as they are. That takes a sixth of
    the time that any other way to write it does, and is done for every event.
    """
    hasher = _HASHER.copy()
    try:
        hasher.update(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair, only fit to be hashed
        hasher.update(text.encode(errors="surrogatepass"))
    return "0" + hasher.hexdigest()[1:].upper()


class EventIds:
    """Gives the events of one stream their ids.

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
        """Decide what the stream's events are known by.

        Args:
            stream: The stream's name in the tap.
            key_properties: The stream's primary key.
            draw: Draws a new ULID, for an event that nothing is known by.
            mapped_stream: The stream's name after stream maps, if another.
            is_shared: Whether the tap's stream is mapped to several streams.
            key_is_mapped: Whether the key is one that stream maps have set.
        """
        mapped_stream = stream if mapped_stream is None else mapped_stream
        self._keys = tuple(sorted(key_properties))
        self._key_is_mapped = key_is_mapped
        self._is_shared = is_shared
        self._message = f"message:{_counted(mapped_stream) if is_shared else ''}"
        self._row = f"row:{_counted(stream)}{_counted(mapped_stream)}"
        self._id_is_the_key = len(self._keys) == 1 and self._keys[0].lower() == "id"
        self._draw = draw

    def of(self, call: Call, known_as: str) -> str:
        """Return the id of an event.

        Args:
            call: The call.
            known_as: What the event is, such as ``track:Order Completed``.

        Returns:
            A ULID.

        Raises:
            RejectedRecord: The message id is neither text nor an integer.
        """
        message_id = call.fields.get("messageId")
        # Nearly all have one, for which two calls less a record are worth the line.
        if type(message_id) is not str or message_id.isspace():
            message_id = self._message_id(call)
        if message_id is None:
            return self._of_row(call, known_as)
        if (
            len(message_id) == _ULID_CHARACTERS
            and not call.flat
            and not self._is_shared
            and is_ulid(message_id)
        ):
            return message_id
        return _ulid_of(f"{self._message}{len(known_as)}:{known_as}{message_id}")

    def _of_row(self, call: Call, known_as: str) -> str:
        """Derive an id from the row's key, or draw one where it has none."""
        key = [self._key_value(call, column) for column in self._keys]
        if not key or None in key:
            return self._draw()
        try:
            text = encode_anything([*zip(self._keys, key, strict=True)]).decode()
        except TypeError:  # of an expression
            raise RejectedRecord(
                "invalid_type", ".".join(self._keys), "a key property has no JSON form"
            ) from None
        return _ulid_of(f"{self._row}{len(known_as)}:{known_as}{text}")

    def _key_value(self, call: Call, column: str) -> JSON:
        """Return a value of the key as the tap has it, unless stream maps set the key.

        An expression in a key column may give several rows the same value.
        """
        value = None
        if call.arrived is not None and not self._key_is_mapped:
            value = call.arrived.get(column)
        return _plain(call.record.get(column) if value is None else value)

    def _message_id(self, call: Call) -> str | None:
        """Return the message id, for which the key of a warehouse's row may stand.

        There the same event has the same id in two tables: the one of all events, and
        the one of its own name.
        """
        message_id = call.fields.get("messageId")
        if message_id is not None:
            return identifier(message_id, "messageId")
        if self._id_is_the_key and call.shape.is_of_warehouse:
            key = call.fields.get("id")
            if isinstance(key, str):
                return identifier(key, "id")
        return None


def _counted(name: str) -> str:
    return f"{len(name)}:{name}"


def _plain(value: JSON) -> JSON:
    """Write equal numbers alike: 1.0 as 1, and 1.50 as 1.5."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits))
    plain = text.rstrip("0") or "0"
    exponent = int(exponent) + len(text) - len(plain)
    if 0 <= exponent <= MOST_ZEROS:
        return int(f"{'-' * sign}{plain}{'0' * exponent}")
    return Decimal((sign, tuple(map(int, plain)), exponent))
