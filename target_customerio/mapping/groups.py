"""Group calls: objects such as companies, and the people related to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import lookup, parse_object, with_flattened
from target_customerio.mapping.columns import RELATIONSHIP
from target_customerio.mapping.fields import spellings
from target_customerio.mapping.identity import PersonFinder, identifier
from target_customerio.mapping.schema_types import NO_DATES
from target_customerio.track_api.operations import (
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    Relationship,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.mapping.call import Call, StreamContext
    from target_customerio.mapping.schema_types import DateTree
    from target_customerio.mapping.values import Cleaner
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        ObjectIdentifiers,
        Operation,
        PersonIdentifiers,
    )


DEFAULT_OBJECT_TYPE: Final = "1"

RELATION_KEYS: Final[frozenset[str]] = frozenset(
    spelling
    for field in ("objectId", "objectTypeId", "relationshipAttributes")
    for spelling in spellings(field)
)
"""Traits that describe a relationship and are not attributes."""


def find_field(call: Call, field: str) -> JSON:
    """Return a field of the body, else of the record, else of the context."""
    found = lookup(call.body, field)
    if found is None:
        found = call.fields.get(field)
    if found is None and call.context:
        found = lookup(call.context, field)
    return found


def relationship_attributes(call: Call, cleaner: Cleaner) -> Attributes | UnsetType:
    """Return the attributes of a call's relationship, or ``UNSET``."""
    field = RELATIONSHIP
    attributes = parse_object(find_field(call, field), field)
    dates = _dates_of(call, field)
    columns = call.shape.flattened.get(field)
    if columns:
        attributes = with_flattened(attributes, call.record, columns)
        dates = {**_dates_of_columns(call, columns), **dates}
    if not attributes:
        return UNSET
    return cleaner.attributes(attributes, dates) or UNSET


def _dates_of_columns(
    call: Call, columns: Iterable[tuple[str, tuple[str, ...]]]
) -> DateTree:
    """Return the typed fields among flattened columns, not those of nested objects."""
    return {
        path[0]: call.field_dates[column]
        for column, path in columns
        if len(path) == 1 and column in call.field_dates
    }


def _dates_of(call: Call, field: str) -> DateTree:
    """Return the typed fields of a container field, where that is found."""
    if lookup(call.body, field) is not None:
        dates = call.dates
    elif field in call.fields:
        dates = call.field_dates
    else:
        dates = _branch(call.field_dates, "context")
    return next(
        filter(None, (_branch(dates, each) for each in spellings(field))), NO_DATES
    )


def _branch(dates: DateTree, name: str) -> DateTree:
    below = dates.get(name)
    return below if isinstance(below, Mapping) else NO_DATES


def object_identifiers(
    call: Call, object_id: JSON, field: str = "objectId"
) -> ObjectIdentifiers | None:
    """Return an object's type and ID, or ``None`` without an ID."""
    text = identifier(object_id, field)
    if text is None:
        return None
    types = [call.fields.get("objectTypeId")] if not call.flat else []
    types += [lookup(each, "objectTypeId") for each in (call.body, call.context)]
    for found in types:
        object_type_id = identifier(found, "objectTypeId")
        if object_type_id is not None:
            return {"object_type_id": object_type_id, "object_id": text}
    return {"object_type_id": DEFAULT_OBJECT_TYPE, "object_id": text}


RELATIONSHIP_ACTIONS: Final[
    dict[str, type[ObjectAddRelationships | ObjectDeleteRelationships]]
] = {
    "add_relationships": ObjectAddRelationships,
    "delete_relationships": ObjectDeleteRelationships,
}
USED_KEYS: Final = RELATION_KEYS | {*spellings("action"), *spellings("groupId")}

_group_member: Final = PersonFinder(phone=False, own_traits=False)


def group(call: Call, stream: StreamContext) -> Operation:
    """Convert a group call to an operation on the object."""
    company = named_object(call)
    if stream.deletes(call):
        return ObjectDelete(identifiers=company)
    action = _action(call)
    if action == "delete":
        return ObjectDelete(identifiers=company)
    if isinstance(action, str) and action in RELATIONSHIP_ACTIONS:
        return RELATIONSHIP_ACTIONS[action](
            identifiers=company,
            cio_relationships=[
                Relationship(
                    identifiers=_group_member.require(call, stream),
                    relationship_attributes=relationship_attributes(
                        call, stream.cleaner
                    ),
                )
            ],
        )
    if action == "identify":
        return _identify(call, company, stream)
    raise RejectedRecord(
        "unknown_action",
        "action",
        "the action of a group call must be one of identify, delete, "
        + ", ".join(RELATIONSHIP_ACTIONS),
    )


def named_member(call: Call, stream: StreamContext) -> PersonIdentifiers | None:
    """Return the person whom a group call names, if it does."""
    return _group_member.find(call, stream)


def named_object(call: Call) -> ObjectIdentifiers:
    """Return the object of a group call."""
    object_id, field = call.fields.get("groupId"), "groupId"
    if object_id is None:
        object_id, field = find_field(call, "objectId"), "objectId"
    company = object_identifiers(call, object_id, field)
    if company is None:
        raise RejectedRecord("required", "groupId", "missing object ID")
    return company


def _action(call: Call) -> JSON:
    for action in (
        call.fields.get("action"),
        lookup(call.traits, "action"),
        lookup(call.properties, "action"),
    ):
        if action is not None:
            return action
    return "identify"


def _identify(
    call: Call, company: ObjectIdentifiers, stream: StreamContext
) -> Operation:
    attributes = stream.cleaner.attributes(call.body, call.dates, USED_KEYS)
    person = _group_member.find(call, stream)
    operation: type[ObjectIdentify | ObjectIdentifyAnonymous] = ObjectIdentify
    if person is None:
        anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
        if anonymous_id is None:
            return ObjectIdentify(identifiers=company, attributes=attributes)
        person = {"anonymous_id": anonymous_id}
        operation = ObjectIdentifyAnonymous
    return operation(
        identifiers=company,
        attributes=attributes,
        cio_relationships=[
            Relationship(
                identifiers=person,
                relationship_attributes=relationship_attributes(call, stream.cleaner),
            )
        ],
    )
