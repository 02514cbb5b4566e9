"""Rules for the shape of what is sent.

A rule looks at one value and yields what is wrong with it, in the form in which
Customer.io says so: ``reason``, ``field`` and ``message`` (schema ``errors``). The
words are the sandbox's own, and they never quote a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from target_customerio.sandbox import values

if TYPE_CHECKING:
    from target_customerio.track_api.operations import JSON


Fault: TypeAlias = "dict[str, JSON]"
Rule: TypeAlias = Callable[["JSON", str], Iterator[Fault]]
"""Takes a value and the name of its field, and yields faults."""

LONGEST_ID = 150
"""Bytes of a person's or an object's id ("Customer limits" and those of objects)."""

LONGEST_VALUE = 1000
"""Bytes of any other value, as of an attribute's ("Customer limits")."""

_E164 = re.compile(r"\+[0-9]{1,15}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)
_OBJECT_TYPE = re.compile(r"[1-9][0-9]*")
_SIXTY_FOUR_BITS = range(-(2**63), 2**63)
_WIDEST_CHARACTER = 4


class Member(NamedTuple):
    """A member of an object, and what holds for it."""

    name: str
    rule: Rule
    is_required: bool


def fault(reason: str, field: str, message: str) -> Fault:
    """Return one entry of an error list.

    Args:
        reason: A short, stable word for the kind of fault.
        field: The field at fault, in dotted form.
        message: One sentence for people.

    Returns:
        The entry.
    """
    return {"reason": reason, "field": field, "message": message}


def required(name: str, rule: Rule) -> Member:
    """Return a member that cannot be left out.

    Args:
        name: Its name.
        rule: What holds for its value.

    Returns:
        The member.
    """
    return Member(name, rule, is_required=True)


def optional(name: str, rule: Rule) -> Member:
    """Return a member that can be left out, or be null.

    Args:
        name: Its name.
        rule: What holds for its value.

    Returns:
        The member.
    """
    return Member(name, rule, is_required=False)


def shape(*members: Member) -> Rule:
    """Return the rule that a value is an object with these members, and any others.

    Args:
        members: What is known of the members.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        if not isinstance(value, dict):
            yield fault("invalid", field, "Must be an object.")
            return
        prefix = f"{field}." if field else ""
        for member in members:
            inner = value.get(member.name)
            if inner is not None:
                yield from member.rule(inner, prefix + member.name)
            elif member.is_required:
                yield fault("required", prefix + member.name, "Is required.")

    return check


def each(rule: Rule) -> Rule:
    """Return the rule that a value is an array, and what holds for each item.

    Args:
        rule: What holds for an item.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        if not isinstance(value, list):
            yield fault("invalid", field, "Must be an array.")
            return
        for index, item in enumerate(value):
            yield from rule(item, f"{field}[{index}]")

    return check


def every(*rules: Rule) -> Rule:
    """Return the rule that all of these hold.

    Args:
        rules: The rules.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        for rule in rules:
            yield from rule(value, field)

    return check


def text(longest: int | None = None, pattern: re.Pattern[str] | None = None) -> Rule:
    """Return the rule that a value is a string with something in it.

    Args:
        longest: The most bytes that it may have in UTF-8.
        pattern: What the whole of it must match.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        if not isinstance(value, str):
            yield fault("invalid", field, "Must be a string.")
        elif not value.strip(" "):
            yield fault("required", field, "Must not be empty.")
        elif longest is not None and is_longer(value, longest):
            yield fault("too_long", field, f"Must not exceed {longest} bytes.")
        elif pattern is not None and not pattern.fullmatch(value):
            yield fault("invalid", field, "Is not of the documented form.")

    return check


def one_of(choices: Container[str]) -> Rule:
    """Return the rule that a value is one of a documented few.

    Args:
        choices: The values.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        if not isinstance(value, str) or value not in choices:
            yield fault("invalid", field, "Is not one of the documented values.")

    return check


def integer(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that a value is a whole number, as Unix timestamps are.

    Args:
        value: The value.
        field: Its name.

    Yields:
        What is wrong.
    """
    if type(value) is not int or value not in _SIXTY_FOUR_BITS:
        yield fault("invalid", field, "Must be an integer.")


def boolean(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that a value is true or false.

    Args:
        value: The value.
        field: Its name.

    Yields:
        What is wrong.
    """
    if not isinstance(value, bool):
        yield fault("invalid", field, "Must be a boolean.")


def identifiers(*kinds: str) -> Rule:
    """Return the rule that somebody is named by exactly one identifier.

    Source: schema ``person_common``: "You cannot pass multiple identifiers".

    Args:
        kinds: The kinds of identifier that the operation allows.

    Returns:
        The rule.
    """

    def check(value: JSON, field: str) -> Iterator[Fault]:
        if not isinstance(value, dict) or len(value) != 1:
            yield fault("invalid", field, "Must hold exactly one identifier.")
            return
        ((kind, name),) = value.items()
        if kind in kinds:
            yield from _IDENTIFIERS[kind](name, f"{field}.{kind}")
        else:
            message = f"Must hold one of {', '.join(kinds)}."
            yield fault("invalid", field, message)

    return check


def is_longer(value: str, longest: int) -> bool:
    """Tell whether a string takes more bytes than it may.

    Args:
        value: The string.
        longest: The most bytes that it may have in UTF-8.

    Returns:
        True when it is too long.
    """
    if len(value) * _WIDEST_CHARACTER <= longest:
        return False
    return len(value.encode()) > longest


_IDENTIFIERS = {
    "id": text(LONGEST_ID),
    "email": text(LONGEST_VALUE),
    "phone": text(pattern=_E164),
    "cio_id": text(),
    "anonymous_id": text(LONGEST_VALUE),
}

ULID = text(pattern=_ULID)
OBJECT = shape(
    required("object_type_id", text(pattern=_OBJECT_TYPE)),
    required("object_id", text(LONGEST_ID)),
)


LONGEST_NAME = 150
MOST_ATTRIBUTES = 300


def naming_attribute(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that an attribute can serve as an identifier.

    A number is taken as its digits; an empty string removes the identifier.

    Args:
        value: The value.
        field: Its name.

    Yields:
        What is wrong.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        yield fault("invalid", field, "Must be a string.")
    elif field.endswith(".id") and is_longer(str(value), LONGEST_ID):
        yield fault("too_long", field, f"Must not exceed {LONGEST_ID} bytes.")


def limited(value: JSON, field: str) -> Iterator[Fault]:
    """Hold that attributes of a person, an object or a relationship are within limits.

    The size of a list or an object is that of its compact JSON.

    Args:
        value: The attributes.
        field: Their name.

    Yields:
        What is wrong.
    """
    if not isinstance(value, dict):
        yield fault("invalid", field, "Must be an object.")
        return
    if len(value) > MOST_ATTRIBUTES:
        message = f"Must not have more than {MOST_ATTRIBUTES} attributes."
        yield fault("too_many", field, message)
    for name, attribute in value.items():
        if is_longer(name, LONGEST_NAME):
            message = f"A name in it exceeds {LONGEST_NAME} bytes."
            yield fault("too_long", field, message)
        elif attribute is not None and _is_large(attribute):
            message = f"Must not exceed {LONGEST_VALUE} bytes."
            yield fault("too_long", f"{field}.{name}", message)


def _is_large(value: JSON) -> bool:
    if isinstance(value, str):
        return is_longer(value, LONGEST_VALUE)
    return len(values.encode(value)) > LONGEST_VALUE
