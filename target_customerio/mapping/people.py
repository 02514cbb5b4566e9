"""Calls about people: identify, alias, and membership of segments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import (
    Skipped,
    as_object,
    lookup,
    with_flattened,
)
from target_customerio.mapping.columns import DEFAULT_SEPARATOR
from target_customerio.mapping.fields import is_blank, trimmed
from target_customerio.mapping.groups import (
    RELATION_KEYS,
    find_field,
    object_identifiers,
    relationship_attributes,
)
from target_customerio.mapping.identity import PersonFinder, identifier
from target_customerio.mapping.schema_types import NO_DATES
from target_customerio.track_api.operations import (
    PREFERENCES,
    UPDATE_ONLY,
    PersonDelete,
    PersonIdentify,
    PersonMerge,
    Relationship,
    SegmentAdd,
    SegmentRemove,
    person_identity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.mapping.call import Call, StreamContext
    from target_customerio.mapping.schema_types import DateTree, Typed
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        ObjectIdentifiers,
        PersonIdentifiers,
        SegmentChange,
    )


ANONYMOUS: Final = Skipped("anonymous identify")
"""Customer.io ignores anonymous identify calls (the destination's documentation)."""

CREATED_AT: Final = ("created_at", "createdAt")
NOT_ATTRIBUTES: Final = RELATION_KEYS | set(CREATED_AT)

TOPICS: Final = "topics"

_ABSENT: Final = (None, "")

_identified_person: Final = PersonFinder()


def identify(
    call: Call, stream: StreamContext
) -> PersonIdentify | PersonDelete | Skipped:
    """Convert an identify call."""
    settings = stream.settings
    anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
    person = _identified_person.find(call, stream)
    if person is None and anonymous_id is not None:
        if settings.anonymous_identify == "skip":
            return ANONYMOUS
        person, anonymous_id = {"id": anonymous_id}, None
    if person is None:
        person = _identified_person.require(call, stream)
    if stream.deletes(call):
        return PersonDelete(identifiers=person)
    attributes = _attributes(call, stream)
    if anonymous_id is not None:
        attributes["anonymous_id"] = anonymous_id
    if settings.update_only:
        attributes[UPDATE_ONLY] = True
    return PersonIdentify(
        identifiers=person,
        attributes=attributes,
        timestamp=UNSET if settings.identify_timestamp == "omit" else call.time(),
        cio_relationships=_relationships(call, stream),
    )


def _attributes(call: Call, stream: StreamContext) -> Attributes:
    cleaner = stream.cleaner
    attributes = cleaner.attributes(call.body, call.dates, NOT_ATTRIBUTES)
    email = attributes.get("email")
    if not call.flat and email in _ABSENT:
        own = call.fields.get("email")
        if own is not None and not (isinstance(own, str) and is_blank(own)):
            email = attributes["email"] = cleaner.value(own, NO_DATES, "email")
    if isinstance(email, str):
        attributes["email"] = trimmed(email)
    # Faster than a look at each name.
    if PREFERENCES in "\0".join(attributes):
        flattened = _flattened(attributes, stream.settings.flattening_separator)
        _open_preferences(attributes, call, stream, flattened)
    created_at, typed = _found_created_at(call)
    if created_at is not UNSET:
        created_at = cleaner.time_or_value(created_at, typed, "created_at")
        if created_at is not None or stream.settings.null_attributes == "send":
            attributes["created_at"] = created_at
    return attributes


def _found_created_at(call: Call) -> tuple[JSON, DateTree | Typed | None]:
    """Return the value of ``created_at`` and its type; ``UNSET`` if missing.

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
    stream: StreamContext,
    flattened: tuple[tuple[str, tuple[str, ...]], ...],
) -> None:
    """Make an object of subscription preferences in JSON text or flattened columns.

    Dotted keys, which Customer.io accepts, are not changed.
    """
    value = call.body.get(PREFERENCES)
    is_text = isinstance(value, str) or (
        isinstance(value, Mapping) and isinstance(value.get(TOPICS), str)
    )
    if not flattened and not is_text:
        return
    nested = as_object(value)
    if nested is None and not flattened:
        return
    preferences = with_flattened(nested, call.body, flattened)
    topics = as_object(preferences.get(TOPICS))
    if topics is not None:
        preferences[TOPICS] = topics
    for name, _ in flattened:
        del attributes[name]
    attributes[PREFERENCES] = stream.cleaner.value(preferences, NO_DATES, PREFERENCES)


def _flattened(
    names: Iterable[str], separator: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the flattened preference columns with their paths."""
    flattened = _flattened_preference(separator)
    return tuple(
        (name, (TOPICS,) if found[2] is None else (TOPICS, found[2]))
        for name in names
        if (found := flattened.fullmatch(name))
    )


@cache
def _flattened_preference(separator: str) -> re.Pattern[str]:
    """Return the pattern of such a column; the separator is a setting."""
    separators = {DEFAULT_SEPARATOR, separator, "_"} - {"."}
    joined = "|".join(map(re.escape, sorted(separators, key=len, reverse=True)))
    return re.compile(rf"{PREFERENCES}({joined}){TOPICS}(?:\1(.+))?")


def named_person(call: Call, stream: StreamContext) -> PersonIdentifiers:
    """Return the identifier of an identify, which may be an anonymous one."""
    person = _identified_person.find(call, stream)
    anonymous_id = call.fields.get("anonymousId")
    if person is None and isinstance(anonymous_id, str):
        is_id = stream.settings.anonymous_identify == "use_as_id"
        return {"id" if is_id else "anonymous_id": anonymous_id}
    return person or _identified_person.require(call, stream)


def related_object(call: Call) -> ObjectIdentifiers | None:
    """Return the object that an identify names, if it does."""
    object_id, field = find_field(call, "objectId"), "objectId"
    if object_id is None and call.context:
        object_id, field = lookup(call.context, "groupId"), "context.groupId"
    return object_identifiers(call, object_id, field)


def _relationships(call: Call, stream: StreamContext) -> list[Relationship] | UnsetType:
    related = related_object(call)
    if related is None:
        return UNSET
    return [
        Relationship(
            identifiers=related,
            relationship_attributes=relationship_attributes(call, stream.cleaner),
        )
    ]


def alias(call: Call, stream: StreamContext) -> PersonMerge | PersonIdentify:
    """Convert an alias call to a merge.

    If ``previousId`` is only an anonymous ID, convert it to an identify that joins the
    anonymous events with ``userId``.
    """
    primary = _merged_person(call, stream, "userId", "id")
    anonymous_id = _anonymous_id(call, stream)
    if anonymous_id is not None:
        if anonymous_id in primary.values():
            raise _same_person()
        return _identify_with_anonymous_id(primary, anonymous_id, stream)
    secondary = _merged_person(call, stream, "previousId")
    if person_identity(primary) == person_identity(secondary):
        raise _same_person()
    return PersonMerge(primary=primary, secondary=secondary)


def _identify_with_anonymous_id(
    person: PersonIdentifiers, anonymous_id: str, stream: StreamContext
) -> PersonIdentify:
    attributes: Attributes = {"anonymous_id": anonymous_id}
    if stream.settings.update_only:
        attributes[UPDATE_ONLY] = True
    return PersonIdentify(identifiers=person, attributes=attributes)


def _same_person() -> RejectedRecord:
    return RejectedRecord(
        "same_person", "previousId", "a person cannot be merged with themselves"
    )


def _anonymous_id(call: Call, stream: StreamContext) -> str | None:
    """Return ``previousId`` if it is only an anonymous ID."""
    if stream.settings.anonymous_identify == "use_as_id":
        return None
    anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
    previous_id = identifier(call.fields.get("previousId"), "previousId")
    return anonymous_id if anonymous_id == previous_id else None


def _merged_person(
    call: Call, stream: StreamContext, *fields: str
) -> PersonIdentifiers:
    """Return one person of a merge, from the first field that has a value."""
    for field in fields:
        person = stream.resolve(call.fields.get(field), field)
        if person is not None:
            return person
    raise RejectedRecord(
        "required", fields[0], f"missing {fields[0]}: a merge needs two people"
    )


CHANGES: Final[dict[str, type[SegmentChange]]] = {
    "add": SegmentAdd,
    "remove": SegmentRemove,
}

_segment_member: Final = PersonFinder(phone=False)


def segment(call: Call, stream: StreamContext) -> SegmentChange:
    """Convert a row of manual segment membership."""
    action = call.fields.get("action", "add")
    if stream.deletes(call):
        action = "remove"
    change = CHANGES.get(action) if isinstance(action, str) else None
    if change is None:
        raise RejectedRecord(
            "unknown_action",
            "action",
            "the action must be one of " + ", ".join(CHANGES),
        )
    return change(
        segment_id=_segment(call), identifiers=_segment_member.require(call, stream)
    )


def named_member(call: Call, stream: StreamContext) -> SegmentAdd:
    """Return the membership that a row names, whatever its action."""
    return SegmentAdd(
        segment_id=_segment(call), identifiers=_segment_member.require(call, stream)
    )


def _segment(call: Call) -> str:
    segment_id = identifier(call.fields.get("segmentId"), "segmentId")
    if segment_id is None:
        raise RejectedRecord("required", "segmentId", "missing segment ID")
    if not (segment_id.isascii() and segment_id.isdecimal()):
        raise RejectedRecord(
            "invalid_type", "segmentId", "the segment ID must be a number"
        )
    return segment_id
