"""What all operations have in common, and how people and objects are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Iterable


JSON: TypeAlias = Any
"""A JSON value; numbers are ``int`` or ``Decimal``."""

Attributes: TypeAlias = dict[str, JSON]

PersonIdentifiers: TypeAlias = dict[str, str]
"""One of ``id``, ``email``, ``phone``, ``cio_id``, ``anonymous_id``, and its value."""

ObjectIdentifiers: TypeAlias = dict[str, str]
"""``object_type_id`` and ``object_id``."""

PERSON_ATTRIBUTES_THAT_IDENTIFY = ("id", "email", "phone", "anonymous_id")
"""Attributes of a person that Customer.io reads as identifiers too."""

SHARED_BY_MANY = ("phone",)
"""Identifiers that several people may bear, so that bearing one ties nobody."""


IN_PHONE_NUMBERS: Final = dict.fromkeys(
    map(ord, " .-()\u00a0\u2007\u2009\u2010\u2011\u202f")
)
"""What is written between the digits of a phone number, for ``str.translate``."""


def person_identity(identifiers: PersonIdentifiers) -> str:
    """Name a person in one string that is the same for every spelling.

    E-mail addresses are compared without case (API description,
    ``PUT /api/v1/customers/{identifier}``), phone numbers by their digits.

    Args:
        identifiers: The one identifier of a person.

    Returns:
        The kind of identifier and its value, such as ``email:ann@example.com``.
    """
    ((kind, value),) = identifiers.items()
    if kind == "email":
        value = value.lower()
    elif kind == "phone":
        value = value.translate(IN_PHONE_NUMBERS)
    return f"{kind}:{value}"


def object_identity(identifiers: ObjectIdentifiers) -> str:
    """Name an object in one string.

    Args:
        identifiers: The object's type and id.

    Returns:
        For instance ``object:1:acme``.
    """
    return f"object:{identifiers['object_type_id']}:{identifiers['object_id']}"


class Operation(Struct, kw_only=True, gc=False):
    """One operation of any kind."""

    label: ClassVar[str]

    def identities(self) -> tuple[str, ...]:
        """Return every person and object that the operation names."""
        raise NotImplementedError

    def leader(self) -> str:
        """Return whose operation it is: the person if one is named, else the object."""
        return self.identities()[0]

    def payload(self) -> JSON:
        """Return what stands in a request for the operation."""
        return self

    def ties(self) -> tuple[str, ...]:
        """Return the identities that the operation makes one and the same person."""
        return ()


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


class DeliveryReport(Operation, kw_only=True):
    """What became of a message (``POST /api/v1/metrics``)."""

    label = "delivery report"
    delivery_id: str
    metric: str
    timestamp: int | UnsetType = UNSET
    recipient: JSON | UnsetType = UNSET
    reason: JSON | UnsetType = UNSET
    href: JSON | UnsetType = UNSET
    metadata: Attributes | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the delivery."""
        return (f"delivery:{self.delivery_id}",)


class SegmentChange(Operation, kw_only=True):
    """One person's membership of a manual segment.

    Source: ``POST /api/v1/segments/{segment_id}/add_customers`` and
    ``remove_customers``, which take many people of one kind of identifier.
    """

    segment_id: str
    identifiers: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the person."""
        return (person_identity(self.identifiers),)

    def payload(self) -> JSON:
        """Return the identifier alone; its kind and the segment are in the address."""
        (value,) = self.identifiers.values()
        return value


class SegmentAdd(SegmentChange, kw_only=True):
    """Add a person to a manual segment."""

    label = "segment add"


class SegmentRemove(SegmentChange, kw_only=True):
    """Remove a person from a manual segment."""

    label = "segment remove"


__all__ = [
    "JSON",
    "PERSON_ATTRIBUTES_THAT_IDENTIFY",
    "SHARED_BY_MANY",
    "Attributes",
    "DeliveryReport",
    "Device",
    "DeviceToken",
    "ObjectAddRelationships",
    "ObjectDelete",
    "ObjectDeleteRelationships",
    "ObjectIdentifiers",
    "ObjectIdentify",
    "ObjectIdentifyAnonymous",
    "ObjectOperation",
    "ObjectRelationship",
    "Operation",
    "PersonAddDevice",
    "PersonAddRelationships",
    "PersonContentReport",
    "PersonDelete",
    "PersonDeleteDevice",
    "PersonDeleteRelationships",
    "PersonEvent",
    "PersonHappening",
    "PersonIdentifiers",
    "PersonIdentify",
    "PersonMerge",
    "PersonOperation",
    "PersonPage",
    "PersonRelationship",
    "PersonRelationshipsOperation",
    "PersonScreen",
    "PersonSuppress",
    "PersonUnsuppress",
    "RelatedObjectOperation",
    "SegmentAdd",
    "SegmentChange",
    "SegmentRemove",
    "object_identity",
    "person_identity",
]
