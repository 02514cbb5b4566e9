"""Group: an object, and perhaps a person's relationship with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.conversion.containers import lookup
from target_customerio.conversion.fields import spellings
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
from target_customerio.errors import RejectedRecord
from target_customerio.operations import (
    ObjectAddRelationships,
    ObjectDelete,
    ObjectDeleteRelationships,
    ObjectIdentify,
    ObjectIdentifyAnonymous,
    PersonRelationship,
)

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import JSON, ObjectIdentifiers, Operation

RELATIONSHIP_ACTIONS: Final[
    dict[str, type[ObjectAddRelationships | ObjectDeleteRelationships]]
] = {
    "add_relationships": ObjectAddRelationships,
    "delete_relationships": ObjectDeleteRelationships,
}
USED_KEYS: Final = RELATION_KEYS | {*spellings("action"), *spellings("groupId")}

_member: Final = PersonFinder(phone=False, own_traits=False)


def convert(call: Call, stream: Stream) -> Operation:
    """Convert a group call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The operation on the object.

    Raises:
        RejectedRecord: The call cannot become one.
    """
    company = _object(call)
    if stream.deletes(call):
        return ObjectDelete(identifiers=company)
    action = _action(call)
    if action == "delete":
        return ObjectDelete(identifiers=company)
    if isinstance(action, str) and action in RELATIONSHIP_ACTIONS:
        return RELATIONSHIP_ACTIONS[action](
            identifiers=company,
            cio_relationships=[
                PersonRelationship(
                    identifiers=_member.require(call, stream),
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


def _object(call: Call) -> ObjectIdentifiers:
    object_id, field = call.fields.get("groupId"), "groupId"
    if object_id is None:
        object_id, field = found_in(call, "objectId"), "objectId"
    company = object_identifiers(call, object_id, field)
    if company is None:
        raise RejectedRecord("required", "groupId", "missing id of the object")
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


def _identify(call: Call, company: ObjectIdentifiers, stream: Stream) -> Operation:
    attributes = stream.cleaner.attributes(call.body, call.dates, USED_KEYS)
    person = _member.find(call, stream)
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
            PersonRelationship(
                identifiers=person,
                relationship_attributes=relationship_attributes(call, stream.cleaner),
            )
        ],
    )
