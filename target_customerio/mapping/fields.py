"""Tables of field names, and of characters that cannot be seen.

Names are written as in the spec (``userId``); the snake_case and upper-case spellings
are derived. Sources: the common fields of Segment's spec, the warehouse schemas of
Segment and RudderStack, and the documentation of their Customer.io destination.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable


CallName: TypeAlias = Literal[
    "identify", "track", "page", "screen", "group", "alias", "segment"
]
StreamCall: TypeAlias = CallName | Literal["by_type"]
"""What a stream can be mapped to; ``by_type``: the call in each record's ``type``."""

BY_TYPE: Final = "by_type"


@dataclass(frozen=True)
class CallKind:
    """What is different for each call.

    Attributes:
        name: Name of the call, which is also a stream name.
        plural: The second stream name. ``None`` if streams have to be mapped to the
            call by a setting: segment membership is not a call of the spec.
        body: The container that holds its attributes.
        fields: Its own fields, which are never traits or properties of a flat row.
            ``name`` is a field of a page, but a trait of a person or company.
    """

    name: CallName
    plural: str | None
    body: Literal["traits", "properties"]
    fields: tuple[str, ...] = ()


CALL_KINDS: Final = {
    kind.name: kind
    for kind in (
        CallKind("identify", "identifies", "traits"),
        CallKind("track", "tracks", "properties", ("event", "event_text")),
        CallKind("page", "pages", "properties", ("name",)),
        CallKind("screen", "screens", "properties", ("event", "name")),
        CallKind("group", "groups", "traits", ("groupId",)),
        CallKind("alias", "aliases", "traits", ("previousId",)),
        CallKind("segment", None, "traits", ("segmentId", "action")),
    )
}

SPEC_CALLS: Final[dict[str, CallName]] = {
    kind.name: kind.name for kind in CALL_KINDS.values() if kind.plural is not None
}
"""The six calls of the spec, as they appear in the ``type`` of a record."""

CONTAINERS: Final = ("traits", "properties", "context")

DELETED_AT: Final = "_sdc_deleted_at"
"""Set by taps on deleted rows; all other ``_sdc_`` columns are ignored."""

SPEC_FIELDS: Final = (
    "anonymousId",
    "id",
    "messageId",
    "timestamp",
    "userId",
    DELETED_AT,
)
"""Fields of every call, which are never traits or properties of a flat row."""

INTEGRATIONS: Final = "integrations"
"""Switches destinations on and off. In a flat row it has to be an object."""

BOOKKEEPING: Final = (
    "received_at",
    "sent_at",
    "original_timestamp",
    "uuid_ts",
    "uuid",
    "loaded_at",
    "event_text",
    "channel",
    "version",
    "type",
    "request_ip",
    "rudder_id",
    "_metadata",
)
"""Bookkeeping columns of event warehouses.

They are ignored in rows of an event warehouse only; in other rows they are data.
"""

WAREHOUSE_COLUMNS: Final = (
    ("event_text",),
    ("received_at", "original_timestamp"),
    ("received_at", "uuid_ts"),
    ("received_at", "loaded_at"),
)
"""A row with all columns of one of these sets is a row of an event warehouse."""

METADATA_PREFIX: Final = "_sdc_"
"""Prefix of the metadata columns of Singer taps and targets, in any case."""

RESERVED_ATTRIBUTES: Final = {
    "EMAIL": "email",
    "PHONE": "phone",
    "CREATED_AT": "created_at",
    "UNSUBSCRIBED": "unsubscribed",
}
"""Upper-case columns, and the reserved attributes of Customer.io that they become."""

LOOKED_UP: Final = (
    "action",
    "createdAt",
    "email",
    "groupId",
    "objectId",
    "objectTypeId",
    "originalTimestamp",
    "relationshipAttributes",
    "type",
)
"""Fields that a call reads and that are also attributes of a flat row."""

IDENTIFIERS: Final = frozenset(
    {
        "anonymousId",
        "groupId",
        "objectId",
        "objectTypeId",
        "previousId",
        "segmentId",
        "userId",
    }
)
"""Fields that identify people, objects and segments."""

MESSAGE_OVERRIDES: Final = ("from_address", "recipient", "reply_to")
"""Properties that override the addresses of a campaign (schema ``person_event``)."""

CONTEXT_FIELDS: tuple[tuple[str, ...], ...] = (
    ("app", "version"),
    ("device", "model"),
    ("device", "token"),
    ("device", "type"),
    ("groupId",),
    ("locale",),
    ("objectId",),
    ("objectTypeId",),
    ("os", "name"),
    ("os", "version"),
    ("page", "url"),
    ("relationshipAttributes",),
    ("traits", "email"),
)
"""What is read from ``context``; the rest is ignored."""


def snake_case(name: str) -> str:
    """Return the snake_case spelling of a field, such as `object_type_id`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def squashed(name: str) -> str:
    """Return a name's letters and digits in lower case, the same for all spellings."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


SQUASHED_CONTEXT_FIELDS: dict[str, tuple[str, ...]] = {
    squashed("".join(path)): path for path in CONTEXT_FIELDS
}


@lru_cache(maxsize=1024)
def spellings(name: str) -> tuple[str, ...]:
    """Return the spec's, the snake_case and the upper-case spelling of a field."""
    column = snake_case(name)
    return tuple(dict.fromkeys((name, column, column.upper())))


def spellings_of_column(column: str) -> tuple[str, ...]:
    """Return all spellings of a field that is given in snake_case."""
    return spellings(
        re.sub(r"(?<=[a-z0-9])_([a-z])", lambda found: found[1].upper(), column)
    )


def is_warehouse_row(columns: Iterable[str]) -> bool:
    """Tell whether a row with these columns comes from an event warehouse."""
    names = set(columns)
    return any(
        all(not names.isdisjoint(spellings_of_column(name)) for name in needed)
        for needed in WAREHOUSE_COLUMNS
    )


CUSTOMERIO: Final = frozenset({"customerio", "customerioactions", "actionscustomerio"})
"""Names of the Customer.io destinations in ``integrations``, reduced to letters."""

EVERYTHING: Final = "all"
"""The entry of ``integrations`` that applies to all destinations."""


def is_customerio_entry(name: str) -> bool:
    """Tell whether an entry of ``integrations`` applies to Customer.io."""
    entry = letters(name)
    return entry in CUSTOMERIO or entry == EVERYTHING


def letters(name: str) -> str:
    """Return the letters of a name in lower case."""
    return "".join(filter(str.isalpha, name)).lower()


WHITE_SPACE: Final = (
    " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""White space by the definition of Unicode."""

ZERO_WIDTH: Final = "\u180e\u200b\u2060\ufeff"
"""Zero-width spaces, including the byte order mark."""

_INVISIBLE: Final = (
    "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Joiners and direction marks, which copied text often has at its ends."""

_AROUND: Final = WHITE_SPACE + ZERO_WIDTH + _INVISIBLE


def trimmed(text: str) -> str:
    """Remove white space of any kind around a text."""
    return text.strip() if text.isascii() else text.strip(_AROUND)


def is_blank(text: str) -> bool:
    """Tell whether a text is empty or has white space of any kind only."""
    if text.isascii():
        return not text or text.isspace()
    return not trimmed(text)
