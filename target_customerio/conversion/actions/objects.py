"""Actions on objects: delete one, or one person's relationship with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.conversion.identifiers import PersonFinder, object_identifiers
from target_customerio.conversion.relationships import found_in
from target_customerio.errors import RejectedRecord
from target_customerio.operations import (
    ObjectDelete,
    ObjectDeleteRelationships,
    PersonRelationship,
)

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import ObjectIdentifiers

_person: Final = PersonFinder(phone=False, property_email=True)


def delete(call: Call, _stream: Stream) -> ObjectDelete:
    """Delete the object and its relationships; needs ``objectId``."""
    return ObjectDelete(identifiers=_object(call))


def delete_relationship(call: Call, _stream: Stream) -> ObjectDeleteRelationships:
    """Part the person from the object; needs ``objectId`` and one that is named."""
    return ObjectDeleteRelationships(
        identifiers=_object(call),
        cio_relationships=[PersonRelationship(identifiers=_person.require(call))],
    )


def _object(call: Call) -> ObjectIdentifiers:
    named = object_identifiers(call, found_in(call, "objectId"))
    if named is None:
        raise RejectedRecord(
            "required", "properties.objectId", "the event names no object"
        )
    return named
