"""The tables of field names: what belongs to the spec, and in which spellings.

Names are written the spec's way (``userId``); the snake_case spelling of each is
derived. Sources: the common fields of Segment's spec, the warehouse schemas that
Segment and RudderStack fill, and the destination's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

CallName: TypeAlias = Literal[
    "identify", "track", "page", "screen", "group", "alias", "segment"
]


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

CONTAINERS: Final = ("traits", "properties", "context")

DELETED_AT: Final = "_sdc_deleted_at"
"""Where taps say that a row is no more; all other bookkeeping of Singer is left out."""

SPEC_FIELDS: Final = (
    "anonymousId",
    "id",
    "integrations",
    "messageId",
    "originalTimestamp",
    "projectId",
    "receivedAt",
    "sentAt",
    "timestamp",
    "type",
    "userId",
    "writeKey",
    DELETED_AT,
)
"""Fields of every call; in a flat row none of them is a trait or a property."""

BOOKKEEPING: Final = ("channel", "event_text", "loaded_at", "uuid_ts", "version")
"""Columns that event warehouses add for themselves."""

METADATA_PREFIX: Final = "_sdc_"
"""Columns that Singer taps and targets add for themselves."""

LOOKED_UP: Final = (
    "action",
    "createdAt",
    "email",
    "groupId",
    "objectId",
    "objectTypeId",
    "relationshipAttributes",
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
def spellings(name: str) -> tuple[str, str]:
    """Return both names of a field, the spec's own first.

    Args:
        name: The spec's own spelling.

    Returns:
        For instance ``("userId", "user_id")``.
    """
    return (name, snake_case(name))
