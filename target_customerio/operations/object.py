"""The five actions on an object."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from target_customerio.operations.base import (
    Attributes,
    ObjectIdentifiers,
    Operation,
    PersonIdentifiers,
    object_identity,
    person_identity,
)


class PersonRelationship(Struct, kw_only=True):
    """A relationship as an object sees it (``v2_cio_relationships``)."""

    identifiers: PersonIdentifiers
    relationship_attributes: Attributes | UnsetType = UNSET


class ObjectOperation(Operation, kw_only=True):
    """An operation on one object (``object_common``)."""

    type: Literal["object"] = "object"
    identifiers: ObjectIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the object."""
        return (object_identity(self.identifiers),)


class RelatedObjectOperation(ObjectOperation, kw_only=True):
    """An operation on one object that may name people too."""

    cio_relationships: list[PersonRelationship] | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the object and the people."""
        related = () if self.cio_relationships is UNSET else self.cio_relationships
        return (
            object_identity(self.identifiers),
            *(person_identity(each.identifiers) for each in related),
        )

    def leader(self) -> str:
        """Return the first person that the object is related to, else the object."""
        identities = self.identities()
        return identities[1] if len(identities) > 1 else identities[0]


class ObjectIdentify(RelatedObjectOperation, kw_only=True):
    """Add or update an object (``object_identify``)."""

    label = "object identify"
    action: Literal["identify"] = "identify"
    attributes: Attributes


class ObjectIdentifyAnonymous(RelatedObjectOperation, kw_only=True):
    """Add or update an object, related to a nameless person.

    Source: ``object_identify_anonymous``.
    """

    label = "object identify_anonymous"
    action: Literal["identify_anonymous"] = "identify_anonymous"
    attributes: Attributes


class ObjectDelete(ObjectOperation, kw_only=True):
    """Delete an object (``object_delete``)."""

    label = "object delete"
    action: Literal["delete"] = "delete"


class ObjectAddRelationships(RelatedObjectOperation, kw_only=True):
    """Relate an object to people (``object_add_relationships``)."""

    label = "object add_relationships"
    action: Literal["add_relationships"] = "add_relationships"


class ObjectDeleteRelationships(RelatedObjectOperation, kw_only=True):
    """Part an object from people (``object_delete_relationships``)."""

    label = "object delete_relationships"
    action: Literal["delete_relationships"] = "delete_relationships"
