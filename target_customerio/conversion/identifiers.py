"""Who and what: the one identifier of a person, and the two of an object.

Sources: "Add and update people by ID or email" in the destination's documentation, the
``cio_`` prefix in "Updating people" of Segment's, and the ``identifiers`` of the
schemas ``person_common`` (E.164 phone numbers) and ``person_merge`` (none).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from target_customerio.conversion.containers import lookup, lookup_in_context
from target_customerio.errors import RejectedRecord

if TYPE_CHECKING:
    from types import ModuleType

    from target_customerio.conversion.layout import Call
    from target_customerio.operations import (
        JSON,
        ObjectIdentifiers,
        PersonIdentifiers,
    )

CIO_PREFIX: Final = "cio_"
DEFAULT_OBJECT_TYPE: Final = "1"
_E164: Final = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)


def identifier(value: JSON, field: str) -> str | None:
    """Read an identifier.

    Args:
        value: Text, or an integer, which is sent as text.
        field: Its name, for the rejection.

    Returns:
        The identifier, or ``None`` where there is none.

    Raises:
        RejectedRecord: It is blank, or neither text nor an integer.
    """
    if isinstance(value, str):
        if value.isspace():
            raise RejectedRecord("blank", field, "the identifier is blank")
        return value or None
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RejectedRecord(
        "invalid_type", field, "an identifier is text or an integer, and this is not"
    )


@lru_cache(maxsize=16_384)
def is_email(text: str) -> bool:
    """Tell whether a text is an e-mail address, by its syntax alone."""
    rules = _rules_of_addresses()
    try:
        rules.validate_email(text, check_deliverability=False)
    except rules.EmailNotValidError:
        return False
    return True


@cache
def _rules_of_addresses() -> ModuleType:
    # Takes a while to set up, which is only spent where there is an address.
    import email_validator  # noqa: PLC0415

    # A domain that no mail can reach, such as one in .local, makes an address none the
    # less; the library's documentation has its list changed in this way.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator


def resolved(value: JSON, field: str) -> PersonIdentifiers | None:
    """Tell what kind of identifier a user id is.

    Args:
        value: What stands under ``userId``, ``id`` or ``previousId``.
        field: Which of them, for the rejection.

    Returns:
        A ``cio_id``, an ``email`` or an ``id``, or ``None`` where there is none.

    Raises:
        RejectedRecord: It is no identifier.
    """
    text = value
    # Nearly all are text, for which one call less a record is worth the line.
    if type(text) is not str or not text or text.isspace():
        text = identifier(value, field)
        if text is None:
            return None
    if text.startswith(CIO_PREFIX):
        cio_id = text.removeprefix(CIO_PREFIX)
        if not cio_id:
            raise RejectedRecord("blank", field, "nothing follows the prefix cio_")
        return {"cio_id": cio_id}
    if "@" in text and is_email(text):
        return {"email": text}
    return {"id": text}


class PersonFinder:
    """Finds who a call is about, in the one order of precedence."""

    def __init__(
        self,
        *,
        phone: bool = True,
        anonymous: bool = False,
        own_traits: bool = True,
        property_email: bool = False,
    ) -> None:
        """Fix what the operation at hand can name.

        Args:
            phone: Whether the operation takes a phone number.
            anonymous: Whether the operation takes an ``anonymous_id``.
            own_traits: Whether the record's traits are the person's own.
            property_email: Whether ``properties.email`` names the person too.
        """
        self._phone = phone
        self._anonymous = anonymous
        self._own_traits = own_traits
        self._property_email = property_email

    def find(self, call: Call) -> PersonIdentifiers | None:
        """Find the person.

        Args:
            call: The call.

        Returns:
            The one identifier, or ``None`` where the call names nobody.

        Raises:
            RejectedRecord: An identifier that would be used is none.
        """
        user_id = call.fields.get("userId")
        if user_id is not None:
            return resolved(user_id, "userId")
        for address in self._addresses(call):
            if isinstance(address, str) and "@" in address and is_email(address):
                return {"email": address}
        if self._phone:
            phone = lookup(self._traits(call), "phone")
            if isinstance(phone, str) and _E164.fullmatch(phone):
                return {"phone": phone}
        if self._anonymous:
            anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
            if anonymous_id is not None:
                return {"anonymous_id": anonymous_id}
        return None

    def require(self, call: Call) -> PersonIdentifiers:
        """Find the person, or reject the record.

        Args:
            call: The call.

        Returns:
            The one identifier.

        Raises:
            RejectedRecord: The call names nobody whom the operation can take.
        """
        person = self.find(call)
        if person is None:
            raise RejectedRecord(
                "no_identifier",
                "userId",
                "nobody is named: no userId and no e-mail address that can be used",
            )
        return person

    def _traits(self, call: Call) -> dict[str, JSON]:
        """Return the person's traits; a flat identify row is made of them."""
        return call.traits if self._own_traits else {}

    def _addresses(self, call: Call) -> list[JSON]:
        if self._own_traits or not call.flat:
            addresses = [call.fields.get("email"), self._traits(call).get("email")]
        else:
            addresses = []
        if call.context:
            addresses.append(lookup_in_context(call.context, "traits", "email"))
        if self._property_email:
            addresses.append(lookup(call.properties, "email"))
        return addresses


def merged_person(call: Call, *fields: str) -> PersonIdentifiers:
    """Read one side of a merge.

    Args:
        call: The call.
        fields: Where it may stand, in the order of precedence.

    Returns:
        The one identifier.

    Raises:
        RejectedRecord: It is missing, or no identifier.
    """
    for field in fields:
        person = resolved(call.fields.get(field), field)
        if person is not None:
            return person
    raise RejectedRecord("required", fields[0], "a merge names two people")


def object_identifiers(
    call: Call, object_id: JSON, field: str = "objectId"
) -> ObjectIdentifiers | None:
    """Read an object's identifiers.

    Args:
        call: The call; its own ``objectTypeId`` is looked for first.
        object_id: What was found as the object's id.
        field: Where that was found, for the rejection.

    Returns:
        Type and id, or ``None`` where there is no id.

    Raises:
        RejectedRecord: The id or the type is no identifier.
    """
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
