"""Identify: a person, their attributes, and perhaps their relationship to an object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.conversion.containers import lookup
from target_customerio.conversion.happenings import NOTHING, time_of
from target_customerio.conversion.identifiers import (
    PersonFinder,
    identifier,
    object_identifiers,
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
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import Attributes

ANONYMOUS: Final = Skipped("anonymous identify")
"""Customer.io ignores them (the destination's documentation)."""

CREATED_AT: Final = ("created_at", "createdAt")
NO_ATTRIBUTES: Final = RELATION_KEYS | set(CREATED_AT)

_DIGITS: Final = re.compile(r"\d{1,20}", re.ASCII)

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
    person = _somebody.find(call)
    if person is None and anonymous_id is not None:
        if settings.anonymous_identify == "skip":
            return ANONYMOUS
        person, anonymous_id = {"id": anonymous_id}, None
    if person is None:
        person = _somebody.require(call)
    if stream.deletes(call):
        return PersonDelete(identifiers=person)
    attributes = _attributes(call, stream)
    if anonymous_id is not None:
        attributes["anonymous_id"] = anonymous_id
    if settings.update_only:
        attributes["_update"] = True
    return PersonIdentify(
        identifiers=person,
        attributes=attributes,
        timestamp=UNSET if settings.identify_timestamp == "omit" else time_of(call),
        cio_relationships=_relationships(call, stream),
    )


def _attributes(call: Call, stream: Stream) -> Attributes:
    cleaner = stream.cleaner
    attributes = cleaner.attributes(call.body, call.dates, NO_ATTRIBUTES)
    if not call.flat and attributes.get("email") is None:
        email = call.fields.get("email")
        if email is not None:
            attributes["email"] = cleaner.value(email, NO_DATES, "email")
    attributes.update(_created_at(call, stream))
    return attributes


def _created_at(call: Call, stream: Stream) -> Attributes:
    """Return ``created_at`` under its one name, digits as a number.

    Source: the property ``created_at`` of ``PUT /api/v1/customers/{identifier}``.
    """
    places = [(call.body.get(name), call.dates.get(name)) for name in CREATED_AT]
    if not call.flat:
        own = next(
            (call.field_dates[name] for name in CREATED_AT if name in call.field_dates),
            None,
        )
        places.append((call.fields.get("createdAt"), own))
    for value, dates in places:
        if value is None or value == "":
            continue
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return {"created_at": int(value)}
        tree = {"created_at": dates} if dates is not None else NO_DATES
        return stream.cleaner.attributes({"created_at": value}, tree, NOTHING)
    if any(name in call.body for name in CREATED_AT):
        return stream.cleaner.attributes({"created_at": None}, NO_DATES, NOTHING)
    return {}


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
