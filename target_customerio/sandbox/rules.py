"""Validation rules for operations and request bodies.

A rule takes a value and the name of its field, and yields errors in Customer.io's form
(schema ``errors``): ``reason``, ``field`` and ``message``. The description gives no
texts, so the wording is the sandbox's own. No message quotes a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from target_customerio.json_codec import encode

if TYPE_CHECKING:
    from target_customerio.track_api.operations import JSON


FieldError: TypeAlias = "dict[str, JSON]"
Rule: TypeAlias = Callable[["JSON", str], Iterator[FieldError]]

MAX_ID_BYTES = 150
"""Of a person's or an object's id ("Customer limits" and those of objects)."""

MAX_VALUE_BYTES = 1000
"""Of any other identifier and of an attribute's value ("Customer limits")."""

MAX_ATTRIBUTE_NAME_BYTES = 150
MAX_ATTRIBUTES = 300

_E164 = re.compile(r"\+[0-9]{1,15}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)
_OBJECT_TYPE = re.compile(r"[1-9][0-9]*")
_INT64 = range(-(2**63), 2**63)
_MAX_BYTES_PER_CHARACTER = 4


class Member(NamedTuple):
    """A member of a JSON object and the rule for its value."""

    name: str
    rule: Rule
    is_required: bool


def field_error(reason: str, field: str, message: str) -> FieldError:
    """Return an entry of an ``errors`` list; ``field`` is a dotted path."""
    return {"reason": reason, "field": field, "message": message}


def required(name: str, rule: Rule) -> Member:
    """Return a member that must be present and not null."""
    return Member(name, rule, is_required=True)


def optional(name: str, rule: Rule) -> Member:
    """Return a member that may be absent or null."""
    return Member(name, rule, is_required=False)


def object_with(*members: Member) -> Rule:
    """Return the rule for an object with these members and any others."""

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        if not isinstance(value, dict):
            yield field_error("invalid", field, "must be an object")
            return
        prefix = f"{field}." if field else ""
        for member in members:
            inner = value.get(member.name)
            if inner is not None:
                yield from member.rule(inner, prefix + member.name)
            elif member.is_required:
                yield field_error("required", prefix + member.name, "is required")

    return check


def array_of(rule: Rule) -> Rule:
    """Return the rule for an array whose items all follow a rule."""

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        if not isinstance(value, list):
            yield field_error("invalid", field, "must be an array")
            return
        for index, item in enumerate(value):
            yield from rule(item, f"{field}[{index}]")

    return check


def all_of(*rules: Rule) -> Rule:
    """Return the rule that combines several."""

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        for rule in rules:
            yield from rule(value, field)

    return check


def string(
    max_bytes: int | None = None, pattern: re.Pattern[str] | None = None
) -> Rule:
    """Return the rule for a non-blank string, limited in UTF-8 bytes or form."""

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        if not isinstance(value, str):
            yield field_error("invalid", field, "must be a string")
        elif not value.strip(" "):
            yield field_error("required", field, "must not be empty")
        elif max_bytes is not None and _is_longer(value, max_bytes):
            yield _too_long(field, max_bytes)
        elif pattern is not None and not pattern.fullmatch(value):
            yield field_error("invalid", field, "has an invalid format")

    return check


def one_of(choices: Container[str]) -> Rule:
    """Return the rule for one of the documented values."""

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        if not isinstance(value, str) or value not in choices:
            yield field_error("invalid", field, "must be one of the documented values")

    return check


def integer(value: JSON, field: str) -> Iterator[FieldError]:
    """Check for a 64-bit integer, such as a Unix timestamp."""
    if type(value) is not int or value not in _INT64:
        yield field_error("invalid", field, "must be an integer")


def boolean(value: JSON, field: str) -> Iterator[FieldError]:
    """Check for true or false."""
    if not isinstance(value, bool):
        yield field_error("invalid", field, "must be a boolean")


def identifier(*kinds: str) -> Rule:
    """Return the rule for an object that holds exactly one identifier of these kinds.

    Source: schema ``person_common``: "You cannot pass multiple identifiers".
    """

    def check(value: JSON, field: str) -> Iterator[FieldError]:
        if not isinstance(value, dict) or len(value) != 1:
            yield field_error("invalid", field, "must hold exactly one identifier")
            return
        ((kind, inner),) = value.items()
        if kind in kinds:
            yield from _IDENTIFIERS[kind](inner, f"{field}.{kind}")
        else:
            message = f"must hold one of {', '.join(kinds)}"
            yield field_error("invalid", field, message)

    return check


_IDENTIFIERS = {
    "id": string(MAX_ID_BYTES),
    "email": string(MAX_VALUE_BYTES),
    "phone": string(pattern=_E164),
    "cio_id": string(),
    "anonymous_id": string(MAX_VALUE_BYTES),
}

ULID = string(pattern=_ULID)
OBJECT_IDENTIFIERS = object_with(
    required("object_type_id", string(pattern=_OBJECT_TYPE)),
    required("object_id", string(MAX_ID_BYTES)),
)


def identifier_attribute(value: JSON, field: str) -> Iterator[FieldError]:
    """Check an attribute that is an identifier.

    A number stands for its digits; an empty string removes the identifier.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        yield field_error("invalid", field, "must be a string")
    elif field.endswith(".id") and _is_longer(str(value), MAX_ID_BYTES):
        yield _too_long(field, MAX_ID_BYTES)


def attributes(value: JSON, field: str) -> Iterator[FieldError]:
    """Check the limits of attributes of a person, an object or a relationship.

    The size of a list or an object is that of its compact JSON.
    """
    if not isinstance(value, dict):
        yield field_error("invalid", field, "must be an object")
        return
    if len(value) > MAX_ATTRIBUTES:
        message = f"must not have more than {MAX_ATTRIBUTES} attributes"
        yield field_error("too_many", field, message)
    for name, attribute in value.items():
        if _is_longer(name, MAX_ATTRIBUTE_NAME_BYTES):
            message = (
                f"attribute names must not exceed {MAX_ATTRIBUTE_NAME_BYTES} bytes"
            )
            yield field_error("too_long", field, message)
        elif attribute is not None and _is_large(attribute):
            yield _too_long(f"{field}.{name}", MAX_VALUE_BYTES)


def _is_large(value: JSON) -> bool:
    if isinstance(value, str):
        return _is_longer(value, MAX_VALUE_BYTES)
    return len(encode(value)) > MAX_VALUE_BYTES


def _is_longer(value: str, max_bytes: int) -> bool:
    if len(value) * _MAX_BYTES_PER_CHARACTER <= max_bytes:
        return False
    return len(value.encode()) > max_bytes


def _too_long(field: str, max_bytes: int) -> FieldError:
    return field_error("too_long", field, f"must not exceed {max_bytes} bytes")
