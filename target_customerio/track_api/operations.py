"""Operations of the Track API, as the API description defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Iterable


JSON: TypeAlias = object
"""A JSON value of any type; numbers are ``int`` or ``Decimal``."""

Attributes: TypeAlias = dict[str, JSON]

PersonIdentifiers: TypeAlias = dict[str, str]
"""One of ``id``, ``email``, ``phone``, ``cio_id``, ``anonymous_id``, and its value."""

ObjectIdentifiers: TypeAlias = dict[str, str]
"""``object_type_id`` and ``object_id``."""

IDENTIFYING_ATTRIBUTES: Final = ("id", "email", "phone", "anonymous_id")
"""Attributes of a person that Customer.io also reads as identifiers."""

UNIQUE_IDENTIFIERS: Final = ("id", "email", "anonymous_id")
"""Those of :data:`IDENTIFYING_ATTRIBUTES` that only one person can have."""

UPDATE_ONLY: Final = "_update"
"""An attribute of an identify that is an instruction: create no person (schema
``identify_person``)."""

PREFERENCES: Final = "cio_subscription_preferences"
"""An attribute of a person: the topics subscribed to (the schema of this name)."""

PHONE_SEPARATORS: Final = dict.fromkeys(
    map(ord, " .-()\u00a0\u2007\u2009\u2010\u2011\u202f")
)
"""Characters between the digits of a phone number, for ``str.translate``."""


def person_identity(identifiers: PersonIdentifiers) -> str:
    """Return a key for a person, such as ``email:ann@example.com``.

    E-mail addresses are compared without case (API description,
    ``PUT /api/v1/customers/{identifier}``), phone numbers by their digits.
    """
    ((kind, value),) = identifiers.items()
    if kind == "email":
        value = value.lower()
    elif kind == "phone":
        value = value.translate(PHONE_SEPARATORS)
    return f"{kind}:{value}"


def object_identity(identifiers: ObjectIdentifiers) -> str:
    """Return a key for an object, such as ``object:1:acme``."""
    return f"object:{identifiers['object_type_id']}:{identifiers['object_id']}"


class Operation(Struct, kw_only=True, gc=False):
    """Base class of all operations."""

    label: ClassVar[str]
    """Name in the summary."""

    is_batched: ClassVar[bool] = True
    """Whether it is sent to the batch endpoint."""

    def identities(self) -> tuple[str, ...]:
        """Return the keys of every person and object that the operation names."""
        raise NotImplementedError

    def payload(self) -> JSON:
        """Return what is encoded as JSON in the request."""
        return self

    def linked_identities(self) -> tuple[str, ...]:
        """Return the keys that belong to the same person after the operation."""
        return ()

    def commuting_identities(self) -> tuple[str, ...]:
        """Return the keys of objects of which only relationships change.

        Such changes of different people may be applied in any order.
        """
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


class Relationship(Struct, kw_only=True):
    """A relationship with the identified object or person.

    Source: ``object_relationships`` and ``v2_cio_relationships``.
    """

    identifiers: PersonIdentifiers | ObjectIdentifiers
    relationship_attributes: Attributes | UnsetType = UNSET


class PersonOperation(Operation, kw_only=True):
    """An operation on one person (``person_common``)."""

    type: Literal["person"] = "person"
    identifiers: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the person's key."""
        return (person_identity(self.identifiers),)


class PersonIdentify(PersonOperation, kw_only=True):
    """Add or update a person (``identify_person``)."""

    label = "person identify"
    action: Literal["identify"] = "identify"
    attributes: Attributes
    timestamp: int | UnsetType = UNSET
    cio_relationships: list[Relationship] | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return a key for each identifier of the person and for each object."""
        related = () if self.cio_relationships is UNSET else self.cio_relationships
        return (
            *self._person_keys(IDENTIFYING_ATTRIBUTES),
            *(object_identity(relationship.identifiers) for relationship in related),
        )

    def commuting_identities(self) -> tuple[str, ...]:
        """Return the keys of the objects."""
        if self.cio_relationships is UNSET:
            return ()
        return tuple(
            object_identity(each.identifiers) for each in self.cio_relationships
        )

    def linked_identities(self) -> tuple[str, ...]:
        """Return the keys of the unique identifiers if there are several."""
        keys = self._person_keys(UNIQUE_IDENTIFIERS)
        return tuple(keys) if len(keys) > 1 else ()

    def _person_keys(self, kinds: Iterable[str]) -> dict[str, None]:
        keys = {person_identity(self.identifiers): None}
        for kind in kinds:
            value = self.attributes.get(kind)
            if isinstance(value, (str, int)) and value and value is not True:
                keys[person_identity({kind: str(value)})] = None
        return keys


class PersonDelete(PersonOperation, kw_only=True):
    """Delete a person (``person_delete``)."""

    label = "person delete"
    action: Literal["delete"] = "delete"


class PersonActivity(PersonOperation, kw_only=True):
    """Base class of events, page views and screen views."""

    id: str | UnsetType = UNSET
    name: str
    timestamp: int | UnsetType = UNSET
    attributes: Attributes | Raw


class PersonEvent(PersonActivity, kw_only=True):
    """A custom event (``person_event``); ``id`` is a ULID."""

    label = "person event"
    action: Literal["event"] = "event"


class PersonPage(PersonActivity, kw_only=True):
    """A page view (``person_page``); ``id`` is a ULID."""

    label = "person page"
    action: Literal["page"] = "page"


class PersonScreen(PersonActivity, kw_only=True):
    """A screen view (``person_screen``); ``id`` is a ULID."""

    label = "person screen"
    action: Literal["screen"] = "screen"


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
        """Return the keys of both people."""
        return (person_identity(self.primary), person_identity(self.secondary))

    def linked_identities(self) -> tuple[str, ...]:
        """Return the keys of both people."""
        return self.identities()


class PersonSuppress(PersonOperation, kw_only=True):
    """Delete a person and ignore the identifiers afterwards (``person_suppress``)."""

    label = "person suppress"
    action: Literal["suppress"] = "suppress"


class PersonUnsuppress(PersonOperation, kw_only=True):
    """Stop ignoring a suppressed person's identifiers (``person_unsuppress``)."""

    label = "person unsuppress"
    action: Literal["unsuppress"] = "unsuppress"


class PersonContentReport(PersonActivity, kw_only=True):
    """A view of an in-app message, or a click (the destination's documentation)."""

    label = "person content report"
    action: Literal["viewed_content", "clicked_content"]


class ObjectOperation(Operation, kw_only=True):
    """An operation on one object (``object_common``)."""

    type: Literal["object"] = "object"
    identifiers: ObjectIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the object's key."""
        return (object_identity(self.identifiers),)


class RelatedObjectOperation(ObjectOperation, kw_only=True):
    """An operation on one object that may also name people."""

    cio_relationships: list[Relationship] | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the keys of the object and the people."""
        related = () if self.cio_relationships is UNSET else self.cio_relationships
        return (
            object_identity(self.identifiers),
            *(person_identity(each.identifiers) for each in related),
        )

    def commuting_identities(self) -> tuple[str, ...]:
        """Return the object's key if nothing but its relationships changes."""
        if not self.cio_relationships or getattr(self, "attributes", None):
            return ()
        return (object_identity(self.identifiers),)


class ObjectIdentify(RelatedObjectOperation, kw_only=True):
    """Add or update an object (``object_identify``)."""

    label = "object identify"
    action: Literal["identify"] = "identify"
    attributes: Attributes


class ObjectIdentifyAnonymous(RelatedObjectOperation, kw_only=True):
    """Add or update an anonymous person's object (``object_identify_anonymous``)."""

    label = "object identify_anonymous"
    action: Literal["identify_anonymous"] = "identify_anonymous"
    attributes: Attributes


class ObjectDelete(ObjectOperation, kw_only=True):
    """Delete an object (``object_delete``)."""

    label = "object delete"
    action: Literal["delete"] = "delete"


class ObjectAddRelationships(RelatedObjectOperation, kw_only=True):
    """Add relationships of an object (``object_add_relationships``)."""

    label = "object add_relationships"
    action: Literal["add_relationships"] = "add_relationships"


class ObjectDeleteRelationships(RelatedObjectOperation, kw_only=True):
    """Remove an object's relationships (``object_delete_relationships``)."""

    label = "object delete_relationships"
    action: Literal["delete_relationships"] = "delete_relationships"


class DeliveryReport(Operation, kw_only=True):
    """A delivery event of a message (``POST /api/v1/metrics``)."""

    is_batched = False
    label = "delivery report"
    delivery_id: str
    metric: str
    timestamp: int | UnsetType = UNSET
    recipient: JSON | UnsetType = UNSET
    reason: JSON | UnsetType = UNSET
    href: JSON | UnsetType = UNSET
    metadata: Attributes | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the key of the delivery."""
        return (f"delivery:{self.delivery_id}",)


class SegmentChange(Operation, kw_only=True):
    """A change of one person's membership of a manual segment.

    Source: ``POST /api/v1/segments/{segment_id}/add_customers`` and
    ``remove_customers``, which take many people of one kind of identifier.
    """

    is_batched = False
    segment_id: str
    identifiers: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the person's key."""
        return (person_identity(self.identifiers),)

    def payload(self) -> JSON:
        """Return the identifier alone; its type and the segment are in the path."""
        (value,) = self.identifiers.values()
        return value


class SegmentAdd(SegmentChange, kw_only=True):
    """Add a person to a manual segment."""

    label = "segment add"


class SegmentRemove(SegmentChange, kw_only=True):
    """Remove a person from a manual segment."""

    label = "segment remove"
