"""Event ids: the same record always yields the same ULID.

Customer.io ignores an event whose ``id`` it has seen (schema ``dedupe_id``), so that a
record sent again is no second event.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from ulid import ULID

from target_customerio.conversion.identifiers import identifier
from target_customerio.exact_json import encode_anything

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.conversion.layout import Call

_HASHER: Final = hashlib.blake2b(digest_size=13)
"""Copied for each event, which is quicker than to set one up."""

_ULID_CHARACTERS: Final = 26


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID as its specification writes one."""
    if len(text) != _ULID_CHARACTERS:
        return False
    try:
        return str(ULID.from_str(text)) == text.upper()
    except ValueError:
        return False


def ulid_of(*parts: bytes) -> str:
    """Make a ULID that depends on nothing but its parts.

    The alphabet of a ULID begins with the digits of a hexadecimal number, so that 100
    bits of a hash, written as one, stand in a ULID as they are. That takes a sixth of
    the time that any other way to write it does, and is done for every event.

    Args:
        parts: What the event is known by.

    Returns:
        A ULID in its text form.
    """
    return _ulid_of(b"\x00".join(parts))


def _ulid_of(whole: bytes) -> str:
    hasher = _HASHER.copy()
    hasher.update(whole)
    return "0" + hasher.hexdigest()[1:].upper()


class EventIds:
    """Gives the events of one stream their ids."""

    def __init__(
        self, stream: str, key_properties: Sequence[str], draw: Callable[[], str]
    ) -> None:
        """Learn what the stream's events are known by.

        Args:
            stream: The stream's name.
            key_properties: The stream's primary key.
            draw: Draws a new ULID, for an event that nothing is known by.
        """
        self._stream = stream.encode()
        self._keys = tuple(key_properties)
        self._id_is_the_key = self._keys == ("id",)
        self._draw = draw

    def of(self, call: Call) -> str:
        """Return the id of an event.

        Args:
            call: The call.

        Returns:
            A ULID.

        Raises:
            RejectedRecord: The message id is neither text nor an integer.
        """
        message_id = call.fields.get("messageId")
        # Nearly all have one, for which two calls less a record are worth the line.
        if type(message_id) is not str or message_id.isspace():
            message_id = self._message_id(call)
        if message_id is not None:
            if len(message_id) == _ULID_CHARACTERS and is_ulid(message_id):
                return message_id
            try:
                return _ulid_of(message_id.encode())
            except UnicodeEncodeError:  # half a surrogate pair, only fit to be hashed
                return _ulid_of(message_id.encode(errors="surrogatepass"))
        key = [call.record.get(name) for name in self._keys]
        if key and None not in key:
            return ulid_of(self._stream, encode_anything(key))
        return self._draw()

    def _message_id(self, call: Call) -> str | None:
        """Return the message id, for which a row's only key may stand.

        A key that counts rows is one table's own: two tables both have a row 1, and
        their events are not the same event. Such a key serves with its stream's name.
        """
        message_id = call.fields.get("messageId")
        if message_id is not None:
            return identifier(message_id, "messageId")
        if self._id_is_the_key:
            key = call.fields.get("id")
            if isinstance(key, str) and not key.isdecimal():
                return identifier(key, "id")
        return None
