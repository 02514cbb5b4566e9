"""What all operations have in common, and how people and objects are named."""

from __future__ import annotations

from typing import Any, ClassVar, Final, TypeAlias

from msgspec import Struct

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
