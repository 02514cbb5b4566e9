"""The twelve actions on a person, and the content report that is a thirteenth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from target_customerio.operations.base import (
    PERSON_ATTRIBUTES_THAT_IDENTIFY,
    SHARED_BY_MANY,
    Attributes,
    ObjectIdentifiers,
    Operation,
    PersonIdentifiers,
    object_identity,
    person_identity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Device(Struct, kw_only=True):
    """A device of a person (``device_object_common``)."""

    token: str
    platform: Literal["ios", "android"]
    last_used: int | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET


class DeviceToken(Struct, kw_only=True):
    """The device that ``delete_device`` removes."""

    token: str


class ObjectRelationship(Struct, kw_only=True):
    """A relationship as a person sees it (``object_relationships``)."""

    identifiers: ObjectIdentifiers
    relationship_attributes: Attributes | UnsetType = UNSET


class PersonOperation(Operation, kw_only=True):
    """An operation on one person (``person_common``)."""

    type: Literal["person"] = "person"
    identifiers: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the person."""
        return (person_identity(self.identifiers),)


class PersonIdentify(PersonOperation, kw_only=True):
    """Add or update a person (``identify_person``)."""

    label = "person identify"
    action: Literal["identify"] = "identify"
    attributes: Attributes
    timestamp: int | UnsetType = UNSET
    cio_relationships: list[ObjectRelationship] | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the person under every name given, and the related objects."""
        related = () if self.cio_relationships is UNSET else self.cio_relationships
        return (
            *self._names(PERSON_ATTRIBUTES_THAT_IDENTIFY),
            *(object_identity(relationship.identifiers) for relationship in related),
        )

    def ties(self) -> tuple[str, ...]:
        """Return the names that now belong to the same person."""
        names = self._names(
            kind
            for kind in PERSON_ATTRIBUTES_THAT_IDENTIFY
            if kind not in SHARED_BY_MANY
        )
        return tuple(names) if len(names) > 1 else ()

    def _names(self, kinds: Iterable[str]) -> dict[str, None]:
        names = {person_identity(self.identifiers): None}
        for kind in kinds:
            value = self.attributes.get(kind)
            if isinstance(value, (str, int)) and value and value is not True:
                names[person_identity({kind: str(value)})] = None
        return names


class PersonDelete(PersonOperation, kw_only=True):
    """Delete a person (``person_delete``)."""

    label = "person delete"
    action: Literal["delete"] = "delete"


class PersonHappening(PersonOperation, kw_only=True):
    """What event, page and screen view have in common."""

    id: str | UnsetType = UNSET
    name: str
    timestamp: int | UnsetType = UNSET
    attributes: Attributes | Raw


class PersonEvent(PersonHappening, kw_only=True):
    """A custom event (``person_event``); ``id`` is a ULID."""

    label = "person event"
    action: Literal["event"] = "event"


class PersonPage(PersonHappening, kw_only=True):
    """A page view (``person_page``); ``id`` is a ULID."""

    label = "person page"
    action: Literal["page"] = "page"


class PersonScreen(PersonHappening, kw_only=True):
    """A screen view (``person_screen``); ``id`` is a ULID."""

    label = "person screen"
    action: Literal["screen"] = "screen"


class PersonRelationshipsOperation(PersonOperation, kw_only=True):
    """An operation on a person's relationships."""

    cio_relationships: list[ObjectRelationship]

    def identities(self) -> tuple[str, ...]:
        """Return the person and the objects."""
        return (
            person_identity(self.identifiers),
            *(object_identity(each.identifiers) for each in self.cio_relationships),
        )


class PersonAddRelationships(PersonRelationshipsOperation, kw_only=True):
    """Relate a person to objects (``person_add_relationships``)."""

    label = "person add_relationships"
    action: Literal["add_relationships"] = "add_relationships"


class PersonDeleteRelationships(PersonRelationshipsOperation, kw_only=True):
    """Part a person from objects (``person_delete_relationships``)."""

    label = "person delete_relationships"
    action: Literal["delete_relationships"] = "delete_relationships"


class PersonAddDevice(PersonOperation, kw_only=True):
    """Add or update a device (``person_add_device``)."""

    label = "person add_device"
    action: Literal["add_device"] = "add_device"
    device: Device


class PersonDeleteDevice(PersonOperation, kw_only=True):
    """Remove a device (``person_delete_device``)."""

    label = "person delete_device"
    action: Literal["delete_device"] = "delete_device"
    device: DeviceToken


class PersonMerge(Operation, kw_only=True):
    """Merge ``secondary`` into ``primary`` (``person_merge``)."""

    label = "person merge"
    type: Literal["person"] = "person"
    action: Literal["merge"] = "merge"
    primary: PersonIdentifiers
    secondary: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return both people."""
        return (person_identity(self.primary), person_identity(self.secondary))

    def ties(self) -> tuple[str, ...]:
        """Return both people: they are one from now on."""
        return self.identities()


class PersonSuppress(PersonOperation, kw_only=True):
    """Delete a person and refuse the identifiers from now on (``person_suppress``)."""

    label = "person suppress"
    action: Literal["suppress"] = "suppress"


class PersonUnsuppress(PersonOperation, kw_only=True):
    """Accept a suppressed person's identifiers again (``person_unsuppress``)."""

    label = "person unsuppress"
    action: Literal["unsuppress"] = "unsuppress"


class PersonContentReport(PersonHappening, kw_only=True):
    """A view of, or a click on, an anonymous in-app message.

    Source: "Report content event" of the Customer.io destination's documentation.
    """

    label = "person content report"
    action: Literal["viewed_content", "clicked_content"]
