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
    """Delete an object and its relationships.

    Args:
        call: The call; it needs ``objectId``.

    Returns:
        The operation on the object.

    Raises:
        RejectedRecord: The object is missing.
    """
    return ObjectDelete(identifiers=_object(call))


def delete_relationship(call: Call, stream: Stream) -> ObjectDeleteRelationships:
    """Part a person from an object.

    Args:
        call: The call; it needs ``objectId`` and a person.
        stream: The stream that the record belongs to.

    Returns:
        The operation on the object.

    Raises:
        RejectedRecord: The object or the person is missing.
    """
    return ObjectDeleteRelationships(
        identifiers=_object(call),
        cio_relationships=[
            PersonRelationship(identifiers=_person.require(call, stream))
        ],
    )


def _object(call: Call) -> ObjectIdentifiers:
    named = object_identifiers(call, found_in(call, "objectId"))
    if named is None:
        raise RejectedRecord(
            "required", "properties.objectId", "missing id of the object"
        )
    return named
