"""The tables of field names: what belongs to the spec, and in which spellings.

Names are written the spec's way (``userId``); the snake_case spelling of each is
derived, and so is that in upper case. Sources: the common fields of Segment's spec, the
warehouse schemas that Segment and RudderStack fill, and the destination's
documentation.
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
"""What a stream can be mapped to: a call, or the call that each record's type names."""

BY_TYPE: Final = "by_type"


@dataclass(frozen=True)
class CallKind:
    """What sets one call apart from the others.

    Attributes:
        name: Its name, which is also the name of a stream.
        plural: The other name of a stream; ``None`` where streams are only mapped to
            it: membership of manual segments is no call of the spec.
        body: Which of the two containers it fills.
        fields: Its own fields; in a flat row none of them is a trait or a property.
            ``name`` is a page's field, but a person's or company's trait.
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
"""The six calls of the spec, which the ``type`` of a record may name."""

CONTAINERS: Final = ("traits", "properties", "context")

DELETED_AT: Final = "_sdc_deleted_at"
"""Where taps say that a row is no more; all other bookkeeping of Singer is left out."""

SPEC_FIELDS: Final = (
    "anonymousId",
    "id",
    "messageId",
    "timestamp",
    "userId",
    DELETED_AT,
)
"""Fields of every call; in a flat row none of them is a trait or a property."""

INTEGRATIONS: Final = "integrations"
"""Turns destinations off. In a flat row only an object counts as this field."""

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
"""Columns that event warehouses add for themselves.

They are left out of an event warehouse's rows only; elsewhere they are data.
"""

WAREHOUSE_COLUMNS: Final = (
    ("event_text",),
    ("received_at", "original_timestamp"),
    ("received_at", "uuid_ts"),
    ("received_at", "loaded_at"),
)
"""A row that has all columns of one of these sets is a row of an event warehouse."""

METADATA_PREFIX: Final = "_sdc_"
"""Columns that Singer taps and targets add for themselves, in any case."""

RESERVED_ATTRIBUTES: Final = {
    "EMAIL": "email",
    "PHONE": "phone",
    "CREATED_AT": "created_at",
    "UNSUBSCRIBED": "unsubscribed",
}
"""Upper-case columns that are reserved attributes of Customer.io, and their names."""

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
"""Fields that a call reads for itself though in a flat row they are body as well."""

MESSAGE_OVERRIDES: Final = ("from_address", "recipient", "reply_to")
"""Properties that replace a campaign's addresses (schema ``person_event``)."""

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
"""What is read out of ``context``; all else in it is left behind."""


def snake_case(name: str) -> str:
    """Spell a field of the spec as a warehouse column.

    Args:
        name: The spec's own spelling, such as ``objectTypeId``.

    Returns:
        For instance ``object_type_id``.
    """
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def squashed(name: str) -> str:
    """Reduce a name to what all its spellings have in common.

    Args:
        name: For instance ``device__token`` or ``deviceToken``.

    Returns:
        For instance ``devicetoken``.
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


SQUASHED_CONTEXT_FIELDS: dict[str, tuple[str, ...]] = {
    squashed("".join(path)): path for path in CONTEXT_FIELDS
}


@lru_cache(maxsize=1024)
def spellings(name: str) -> tuple[str, ...]:
    """Return all names of a field, the spec's own first.

    Args:
        name: The spec's own spelling.

    Returns:
        For instance ``("userId", "user_id", "USER_ID")``.
    """
    column = snake_case(name)
    return tuple(dict.fromkeys((name, column, column.upper())))


def spellings_of_column(column: str) -> tuple[str, ...]:
    """Return all names of a field that is known by its snake_case name.

    Args:
        column: For instance ``sent_at``.

    Returns:
        For instance ``("sentAt", "sent_at", "SENT_AT")``.
    """
    return spellings(
        re.sub(r"(?<=[a-z0-9])_([a-z])", lambda found: found[1].upper(), column)
    )


def is_warehouse_row(columns: Iterable[str]) -> bool:
    """Tell whether a row with these columns comes from an event warehouse.

    Args:
        columns: The names of the row's columns.

    Returns:
        Whether one of the sets in :data:`WAREHOUSE_COLUMNS` is among them.
    """
    names = set(columns)
    return any(
        all(not names.isdisjoint(spellings_of_column(name)) for name in needed)
        for needed in WAREHOUSE_COLUMNS
    )
