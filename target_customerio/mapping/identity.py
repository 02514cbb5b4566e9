"""Identifiers of people: how they are read, and which one a call has.

Sources: "Add and update people by ID or email" in the destination's documentation, the
``cio_`` prefix in "Updating people" of Segment's, and the ``identifiers`` of the
schemas ``person_common`` (E.164 phone numbers) and ``person_merge`` (no phone numbers).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from target_customerio.errors import RejectedRecord
from target_customerio.mapping.call import lookup, lookup_in_context
from target_customerio.mapping.fields import ZERO_WIDTH, is_blank, trimmed
from target_customerio.mapping.schema_types import DECIMAL
from target_customerio.track_api.operations import PHONE_SEPARATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from target_customerio.mapping.call import Call, ResolveUserId, StreamContext
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


CIO_PREFIX: Final = "cio_"
_E164: Final = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PART: Final = rf'(?:[^\s@,<>"{ZERO_WIDTH}]|{_QUOTED})+'
_ADDRESS: Final = re.compile(f"{_PART}@{_PART}", re.DOTALL)
"""An e-mail address; loose, because RFC 5322 allows more than most validators."""


def identifier(value: JSON, field: str) -> str | None:
    """Return an identifier as text; ``None`` if empty. Blank text is rejected."""
    if isinstance(value, str):
        if value and is_blank(value):
            raise RejectedRecord("blank", field, "the identifier is blank")
        return value or None
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _no_identifier(field)


def _no_identifier(field: str) -> RejectedRecord:
    return RejectedRecord(
        "invalid_type", field, "the identifier must be text or an integer"
    )


def check_decimals(record: Mapping[str, JSON], identifiers: Mapping[str, str]) -> None:
    """Reject a record with an identifier like 42.00, which is a decimal by its schema.

    As text it would name someone else than 42.
    """
    for name, field in identifiers.items():
        value = record.get(name)
        if not isinstance(value, str) or value.lstrip("+-").isdecimal():
            continue
        if DECIMAL.fullmatch(value):
            raise _no_identifier(field)


def is_address(text: str) -> bool:
    """Tell whether trimmed text in a field of e-mail addresses is taken as one.

    It needs text on both sides of an ``@`` and, outside quotes, no second ``@``, comma,
    angle bracket or white space.
    """
    return "@" in text and _ADDRESS.fullmatch(text) is not None


MAX_ADDRESS_CHARACTERS: Final = 254
"""Maximum characters of an e-mail address in a user ID (RFC 5321, errata 1690)."""


def is_email(text: str) -> bool:
    """Tell whether a user ID is an e-mail address, by a strict syntax check."""
    return len(text) <= MAX_ADDRESS_CHARACTERS and _is_email(text)


@lru_cache(maxsize=16_384)
def _is_email(text: str) -> bool:
    rules = _email_validator()
    try:
        rules.validate_email(text, check_deliverability=False)
    except rules.EmailNotValidError:
        return False
    return True


@cache
def _email_validator() -> ModuleType:
    """Import and set up the validator, which is slow, on first use."""
    import email_validator  # noqa: PLC0415 - slow to import

    # Accept addresses in special-use domains such as .local; the library's
    # documentation recommends changing the list in this way.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator


def resolve_user_id(value: JSON, field: str) -> PersonIdentifiers | None:
    """Return the identifier in a user ID: ``cio_id``, ``email`` or ``id``."""
    text = value
    # Fast path for the common case: one function call less.
    if type(text) is not str or not text or not text.isascii() or text.isspace():
        text = identifier(value, field)
        if text is None:
            return None
    if text.startswith(CIO_PREFIX):
        return _cio_id(text, field)
    if "@" in text and is_email(address := trimmed(text)):
        return {"email": address}
    return {"id": text}


def _cio_id(text: str, field: str) -> PersonIdentifiers:
    cio_id = text.removeprefix(CIO_PREFIX)
    if is_blank(cio_id):
        raise RejectedRecord("blank", field, "no ID after the prefix cio_")
    return {"cio_id": cio_id}


def _email(text: str, field: str) -> PersonIdentifiers:
    address = trimmed(text)
    if not is_address(address):
        raise RejectedRecord("invalid_email", field, "not an e-mail address")
    return {"email": address}


def _fixed_kind(read: Callable[[str, str], PersonIdentifiers]) -> ResolveUserId:
    """Return a function that reads every user ID as one kind of identifier."""

    def resolve(value: JSON, field: str) -> PersonIdentifiers | None:
        text = identifier(value, field)
        return None if text is None else read(text, field)

    return resolve


USER_ID_TYPES: Final[dict[str, ResolveUserId]] = {
    "auto": resolve_user_id,
    "id": _fixed_kind(lambda text, _field: {"id": text}),
    "email": _fixed_kind(_email),
    "cio_id": _fixed_kind(_cio_id),
}
"""The function that reads a user ID, by the setting ``user_id_type``."""


def phone_number(value: JSON) -> str | None:
    """Return a phone number in E.164 without separators, or ``None``."""
    if not isinstance(value, str):
        return None
    number = value.translate(PHONE_SEPARATORS)
    return number if _E164.fullmatch(number) else None


class PersonFinder:
    """Finds the identifier of a call's person, in the order of precedence."""

    def __init__(
        self,
        *,
        phone: bool = True,
        anonymous: bool = False,
        own_traits: bool = True,
        property_email: bool = False,
    ) -> None:
        """Set which identifiers the operation accepts.

        Args:
            phone: Whether it accepts a phone number.
            anonymous: Whether it accepts an ``anonymous_id``.
            own_traits: Whether the record's traits are those of the person.
            property_email: Whether ``properties.email`` identifies the person.
        """
        self._phone = phone
        self._anonymous = anonymous
        self._own_traits = own_traits
        self._property_email = property_email

    def find(self, call: Call, stream: StreamContext) -> PersonIdentifiers | None:
        """Return the person's identifier, or ``None``."""
        user_id = call.fields.get("userId")
        if user_id is not None:
            return stream.resolve(user_id, "userId")
        for value, field in self._addresses(call):
            if isinstance(value, str) and not is_blank(value):
                return _email(value, field)
        if self._phone:
            phone = phone_number(lookup(self._traits(call), "phone"))
            if phone is not None:
                return {"phone": phone}
        if self._anonymous:
            anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
            if anonymous_id is not None:
                return {"anonymous_id": anonymous_id}
        return None

    def require(self, call: Call, stream: StreamContext) -> PersonIdentifiers:
        """Return the person's identifier, or reject the record."""
        person = self.find(call, stream)
        if person is None:
            raise RejectedRecord(
                "no_identifier",
                "userId",
                "no usable identifier: no userId and no e-mail address",
            )
        return person

    def _traits(self, call: Call) -> Attributes:
        """Return the person's traits, nested or columns of a flat identify row."""
        return call.traits if self._own_traits else {}

    def _addresses(self, call: Call) -> Iterator[tuple[JSON, str]]:
        """Yield the candidates for the person's e-mail address, with their fields."""
        if self._own_traits or not call.flat:
            yield call.fields.get("email"), "email"
            yield lookup(self._traits(call), "email"), "traits.email"
        if call.context:
            yield (
                lookup_in_context(call.context, "traits", "email"),
                "context.traits.email",
            )
        if self._property_email:
            yield lookup(call.properties, "email"), "properties.email"
