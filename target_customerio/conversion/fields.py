"""The tables of field names: what belongs to the spec, and in which spellings.

Names are written the spec's way (``userId``); the snake_case spelling of each is
derived. Sources: the common fields of Segment's spec, the warehouse schemas that
Segment and RudderStack fill, and the destination's documentation.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

CallName: TypeAlias = Literal[
    "identify", "track", "page", "screen", "group", "alias", "segment"
]

CALL_NAMES: tuple[CallName, ...] = (
    "identify",
    "track",
    "page",
    "screen",
    "group",
    "alias",
)
"""The calls of the spec; a stream may be named after one."""

MAPPED_CALLS: tuple[CallName, ...] = (*CALL_NAMES, "segment")
"""What a stream can be mapped to: membership of manual segments is no call."""

BODY_OF_CALL: dict[CallName, str] = {
    "identify": "traits",
    "group": "traits",
    "track": "properties",
    "page": "properties",
    "screen": "properties",
    "alias": "traits",
    "segment": "traits",
}
"""Which of the two containers a call fills."""

EVENT_CALLS: frozenset[CallName] = frozenset({"track", "page", "screen"})

CONTAINERS = ("traits", "properties", "context")

SPEC_FIELDS: tuple[str, ...] = (
    "anonymousId",
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
)
"""Fields of every call; in a flat row none of them is a trait or a property."""

SPEC_FIELDS_OF_CALL: dict[CallName, tuple[str, ...]] = {
    "identify": (),
    "track": ("event",),
    "page": ("name",),
    "screen": ("event", "name"),
    "group": ("groupId",),
    "alias": ("previousId",),
    "segment": ("segmentId", "action"),
}
"""Fields of one call: ``name`` is a page's field, but a person's or company's trait."""

BOOKKEEPING: tuple[str, ...] = (
    "channel",
    "event_text",
    "loaded_at",
    "uuid_ts",
    "version",
)
"""Columns that event warehouses add for themselves."""

METADATA_PREFIX = "_sdc_"
"""Columns that Singer taps and targets add for themselves."""

LOOKED_UP: tuple[str, ...] = (
    "action",
    "createdAt",
    "email",
    "groupId",
    "objectId",
    "objectTypeId",
    "relationshipAttributes",
)
"""Fields that a call reads for itself though in a flat row they are body as well."""

MESSAGE_OVERRIDES: tuple[str, ...] = ("from_address", "recipient", "reply_to")
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
