"""Identify: a person, their attributes, and perhaps their relationship to an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.conversion.columns import DEFAULT_SEPARATOR
from target_customerio.conversion.containers import as_object, lookup, merged
from target_customerio.conversion.happenings import time_of
from target_customerio.conversion.identifiers import (
    PersonFinder,
    identifier,
    object_identifiers,
    trimmed,
)
from target_customerio.conversion.relationships import (
    RELATION_KEYS,
    found_in,
    relationship_attributes,
)
from target_customerio.conversion.schema_types import NO_DATES
from target_customerio.conversion.stream import Skipped
from target_customerio.operations import (
    ObjectRelationship,
    PersonDelete,
    PersonIdentify,
)

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.schema_types import DateTree, Typed
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import JSON, Attributes

ANONYMOUS: Final = Skipped("anonymous identify")
"""Customer.io ignores them (the destination's documentation)."""

CREATED_AT: Final = ("created_at", "createdAt")
NO_ATTRIBUTES: Final = RELATION_KEYS | set(CREATED_AT)

UPDATE_ONLY: Final[Attributes] = {"_update": True}
"""Has Customer.io ignore people who do not exist (schema ``identify_person``)."""

PREFERENCES: Final = "cio_subscription_preferences"
TOPICS: Final = "topics"

_somebody: Final = PersonFinder()


def convert(
    call: Call,
    stream: Stream,
) -> PersonIdentify | PersonDelete | Skipped:
    """Convert an identify call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The operation on the person, or why there is none.

    Raises:
        RejectedRecord: The call cannot become one.
    """
    settings = stream.settings
    anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
    person = _somebody.find(call, stream)
    if person is None and anonymous_id is not None:
        if settings.anonymous_identify == "skip":
            return ANONYMOUS
        person, anonymous_id = {"id": anonymous_id}, None
    if person is None:
        person = _somebody.require(call, stream)
    if stream.deletes(call):
        return PersonDelete(identifiers=person)
    attributes = _attributes(call, stream)
    if anonymous_id is not None:
        attributes["anonymous_id"] = anonymous_id
    if settings.update_only:
        attributes |= UPDATE_ONLY
    return PersonIdentify(
        identifiers=person,
        attributes=attributes,
        timestamp=UNSET if settings.identify_timestamp == "omit" else time_of(call),
        cio_relationships=_relationships(call, stream),
    )


def _attributes(call: Call, stream: Stream) -> Attributes:
    cleaner = stream.cleaner
    attributes = cleaner.attributes(call.body, call.dates, NO_ATTRIBUTES)
    email = attributes.get("email")
    if not call.flat and email is None:
        email = call.fields.get("email")
        if email is not None:
            attributes["email"] = cleaner.value(email, NO_DATES, "email")
    if isinstance(email, str):
        attributes["email"] = trimmed(email)
    flattened = _flattened(tuple(attributes), stream.settings.flattening_separator)
    if flattened or PREFERENCES in attributes:
        _open_preferences(attributes, call, stream, flattened)
    created_at, typed = _found_created_at(call)
    if created_at is not UNSET:
        created_at = cleaner.moment(created_at, typed, "created_at")
        if created_at is not None or stream.settings.null_attributes == "send":
            attributes["created_at"] = created_at
    return attributes


def _found_created_at(call: Call) -> tuple[JSON, DateTree | Typed | None]:
    """Return the value and what the schema says of it; ``UNSET`` if there is none.

    Source: the property ``created_at`` of ``PUT /api/v1/customers/{identifier}``.
    """
    found: JSON = UNSET
    for name in CREATED_AT:
        if name in call.body:
            found = call.body[name]
            if found is not None and found != "":
                return found, call.dates.get(name)
            found = None
    if not call.flat and "createdAt" in call.fields:
        dates = call.field_dates
        typed = dates.get(CREATED_AT[0]) or dates.get(CREATED_AT[1])
        return call.fields["createdAt"], typed
    return found, None


def _open_preferences(
    attributes: Attributes,
    call: Call,
    stream: Stream,
    flattened: tuple[tuple[str, tuple[str, ...]], ...],
) -> None:
    """Make an object of subscription preferences in JSON text or in flattened fields.

    Dotted keys, which Customer.io reads itself, stay as they are.
    """
    value = call.body.get(PREFERENCES)
    is_text = isinstance(value, str) or (
        isinstance(value, Mapping) and isinstance(value.get(TOPICS), str)
    )
    if not flattened and not is_text:
        return
    whole = as_object(value)
    if whole is None and not flattened:
        return
    preferences = merged(whole, call.body, flattened)
    topics = as_object(preferences.get(TOPICS))
    if topics is not None:
        preferences[TOPICS] = topics
    for name, _ in flattened:
        del attributes[name]
    attributes[PREFERENCES] = stream.cleaner.value(preferences, NO_DATES, PREFERENCES)


@lru_cache(maxsize=1024)
def _flattened(
    names: tuple[str, ...], separator: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the flattened preferences among some names, and the way to each."""
    separators = {DEFAULT_SEPARATOR, separator, "_"} - {"."}
    joined = "|".join(map(re.escape, sorted(separators, key=len, reverse=True)))
    flattened = re.compile(rf"{PREFERENCES}({joined}){TOPICS}(?:\1(.+))?")
    return tuple(
        (name, (TOPICS,) if found[2] is None else (TOPICS, found[2]))
        for name in names
        if (found := flattened.fullmatch(name))
    )


def _relationships(call: Call, stream: Stream) -> list[ObjectRelationship] | UnsetType:
    object_id, field = found_in(call, "objectId"), "objectId"
    if object_id is None and call.context:
        object_id, field = lookup(call.context, "groupId"), "context.groupId"
    related = object_identifiers(call, object_id, field)
    if related is None:
        return UNSET
    return [
        ObjectRelationship(
            identifiers=related,
            relationship_attributes=relationship_attributes(call, stream.cleaner),
        )
    ]
