"""What was done without a name, and who it turns out to have been."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from target_customerio.sandbox import values
from target_customerio.sandbox.identity import comparable, create, find, name, name_of
from target_customerio.sandbox.objects import Party, carry_over, relate_person, unnamed
from target_customerio.sandbox.store import (
    HALF_A_MERGE,
    NO_ADDRESS,
    NOBODY_TO_UPDATE,
    OUTDATED,
    SAME_PERSON,
    belongs_to_another,
    is_set_already,
    renames,
)
from target_customerio.sandbox.values import merge, removes
from target_customerio.track_api.operations import person_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_customerio.sandbox.store import Activity, Transaction
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


def join(transaction: Transaction, anonymous_id: str, person: str) -> bool:
    """Give a person an ``anonymous_id`` and all that was done under it.

    Source: schema ``anonymous_id`` for events, ``object_identify_anonymous`` for
    relationships. How long ago an event happened does not matter here.

    Args:
        transaction: The open transaction.
        anonymous_id: The id, such as a cookie's.
        person: The person's ``cio_id``.

    Returns:
        False when the id is somebody else's.
    """
    owner = find(transaction, "anonymous_id", anonymous_id)
    if owner:
        return owner == person
    transaction.database.execute(
        "INSERT INTO anonymous_ids VALUES (?, ?)", (anonymous_id, person)
    )
    transaction.database.execute(
        "UPDATE events SET cio_id = ? WHERE anonymous_id = ?",
        (person, anonymous_id),
    )
    carry_over(transaction, unnamed(anonymous_id), person)
    return True


_ADDRESS = re.compile(r".+@.+", re.DOTALL)

UNIQUE = ("id", "email")
"""Attributes that find a person whom the identifier does not."""


@dataclass
class Person:
    """A row of ``people``, and the identifier by which the operation named it."""

    cio_id: str
    named: PersonIdentifiers
    id: str | None
    email: str | None
    phone: str | None
    attributes: Attributes
    updated_at: int | None

    @property
    def named_by(self) -> str:
        """The kind of identifier by which the operation named them."""
        return next(iter(self.named))

    @property
    def has_one_name(self) -> bool:
        """Whether the person would be nameless without their only identifier."""
        return sum(map(bool, (self.id, self.email, self.phone))) == 1


def identify(transaction: Transaction, operation: JSON) -> None:
    """Add or update a person (``identify_person``).

    Source: schema ``identify_person`` and ``PUT /api/v1/customers/{identifier}``.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    identifiers = operation["identifiers"]
    ((kind, value),) = identifiers.items()
    attributes = dict(operation.get("attributes") or {})
    update_only = attributes.pop("_update", None)
    cio_id = _find_or_adopt(transaction, identifiers, attributes)
    if cio_id is None and update_only:
        transaction.note(NOBODY_TO_UPDATE, identifiers, "_update", operation)
        return
    cio_id = cio_id or create(transaction, kind, value)
    if cio_id is None:
        return
    person = _read(transaction, cio_id, identifiers)
    timestamp = operation.get("timestamp")
    if _is_outdated(person, timestamp):
        transaction.note(OUTDATED, identifiers, "timestamp", attributes, cio_id=cio_id)
    else:
        _update(transaction, person, attributes, timestamp)
    relate_person(transaction, cio_id, operation.get("cio_relationships") or ())


def delete(transaction: Transaction, operation: JSON) -> None:
    """Delete a person and all that is theirs (``person_delete``).

    Source: ``DELETE /api/v1/customers/{identifier}``: "removes them, and all of their
    information".

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    ((kind, value),) = operation["identifiers"].items()
    transaction.database.execute(
        "DELETE FROM people WHERE cio_id = ?", (find(transaction, kind, value),)
    )


def _find_or_adopt(
    transaction: Transaction, identifiers: PersonIdentifiers, attributes: Attributes
) -> str | None:
    """Find the person by identifier, else by an attribute; then the name is theirs.

    Source: "If the identifier in the path does not belong to a person but you use an
    identifier in your request body that *does* belong to a person, your request updates
    the person and assigns them the identifier in the path."
    """
    ((kind, value),) = identifiers.items()
    person = find(transaction, kind, value)
    if person or kind == "cio_id":
        return person
    for attribute in UNIQUE:
        other = attributes.get(attribute)
        if attribute == "email" and not _is_address(other):
            continue
        person = find(transaction, attribute, str(other)) if other else None
        if person:
            _rename(transaction, person, identifiers, (attribute, str(other)))
            return person
    return None


def _rename(
    transaction: Transaction,
    person: str,
    identifiers: PersonIdentifiers,
    found_by: tuple[str, str],
) -> None:
    """Give a person found by an attribute the identifier of the operation.

    Where they had another one of the kind, two people may be meant: that is noted.
    Source: "The existing person gets the new ``id``. This is a common source of
    confusion" (same place).
    """
    ((kind, value),) = identifiers.items()
    present = getattr(_read(transaction, person, identifiers), kind)
    if present:
        attribute, shared = found_by
        transaction.note(
            renames(attribute),
            identifiers,
            attribute,
            shared,
            cio_id=person,
            holder=person_identity({kind: present}),
        )
    name(transaction, person, kind, value)


def _read(transaction: Transaction, cio_id: str, named: PersonIdentifiers) -> Person:
    id_, email, phone, attributes, updated_at = transaction.database.execute(
        "SELECT id, email, phone, attributes, attributes_updated_at FROM people"
        " WHERE cio_id = ?",
        (cio_id,),
    ).fetchone()
    present = values.decode(attributes)
    return Person(cio_id, named, id_, email, phone, present, updated_at)


def _is_outdated(person: Person, timestamp: int | None) -> bool:
    """Tell whether newer attributes have come already.

    Source: ``timestamp`` of ``identify_person`` "can be used to control the order of
    attribute updates". Only timestamps that were sent are compared, so that the time at
    which a request happens to arrive decides nothing.
    """
    if timestamp is None or person.updated_at is None:
        return False
    return timestamp < person.updated_at


def _update(
    transaction: Transaction,
    person: Person,
    attributes: Attributes,
    timestamp: int | None,
) -> None:
    plain = {
        attribute: value
        for attribute, value in attributes.items()
        if attribute not in _IDENTIFYING
        or _IDENTIFYING[attribute](transaction, person, attribute, value)
    }
    transaction.database.execute(
        "UPDATE people SET attributes = ?, attributes_updated_at = ? WHERE cio_id = ?",
        (
            values.text(merge(person.attributes, plain)),
            person.updated_at if timestamp is None else timestamp,
            person.cio_id,
        ),
    )


def _set_identifier(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Give an identifier to a person who lacks one and to whom alone it belongs.

    "If you want to update a person's identifiers after they are set, you must reference
    them using their ``cio_id``", unless it is an ``email`` and the workspace allows to
    change that by ``id``; and an identifier of somebody else produces an *Attribute
    Update Failure*. A person's last identifier cannot be removed.
    """
    present = getattr(person, kind)
    new = None if removes(value) else str(value)
    if _same(kind, present, new):
        return False
    holder = find(transaction, kind, new) if new else None
    if holder:
        _note(transaction, belongs_to_another(kind), person, kind, new, holder)
    elif present and not _may_change(transaction, person, kind, new):
        _note(transaction, is_set_already(kind), person, kind, new)
    else:
        name(transaction, person.cio_id, kind, new)
        setattr(person, kind, new)
    return False


def _set_email(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Give an e-mail address to a person, unless the value cannot be one.

    What Customer.io does with such a value is not documented. Two people with the same
    one, such as "n/a", are certainly not the same person.
    """
    if removes(value) or _is_address(value):
        return _set_identifier(transaction, person, kind, value)
    _note(transaction, NO_ADDRESS, person, kind, str(value))
    return False


def _is_address(value: JSON) -> bool:
    """Tell whether a value has the form that every e-mail address has."""
    return isinstance(value, str) and bool(_ADDRESS.fullmatch(value))


def _may_change(
    transaction: Transaction, person: Person, kind: str, new: str | None
) -> bool:
    """Tell whether an operation may change or remove an identifier that is set."""
    if person.named_by == "cio_id":
        return not _nameless(person, new)
    return (
        transaction.email_updates
        and kind == "email"
        and person.named_by == "id"
        and new is not None
    )


def _set_phone(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Change a phone number, which is an attribute until an operation names by it.

    Several people may share one, and it can be changed at any time, but not by the
    operation that names the person by it.
    """
    new = None if removes(value) else str(value)
    if new == person.phone:
        return False
    if person.named_by == "phone" or _nameless(person, new):
        _note(transaction, is_set_already(kind), person, kind, new)
    else:
        name(transaction, person.cio_id, kind, new)
        person.phone = new
    return False


def _set_anonymous_id(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Join what was done under an ``anonymous_id``; the first to take it keeps it.

    Source: schema ``anonymous_id``: "must be unique and is not reusable".
    """
    if removes(value):
        return True
    if not join(transaction, str(value), person.cio_id):
        holder = find(transaction, kind, str(value))
        _note(transaction, belongs_to_another(kind), person, kind, str(value), holder)
        return False
    return True


def _note(
    transaction: Transaction,
    activity: Activity,
    person: Person,
    kind: str,
    value: str | None,
    holder: str | None = None,
) -> None:
    """Note an identifier that a person did not get."""
    transaction.note(
        activity,
        person.named,
        kind,
        value,
        cio_id=person.cio_id,
        holder=holder and name_of(transaction, holder),
    )


def _same(kind: str, present: str | None, new: str | None) -> bool:
    if not present or not new:
        return present == new
    return comparable(kind, present) == comparable(kind, new)


def _nameless(person: Person, new: str | None) -> bool:
    return new is None and person.has_one_name


_IDENTIFYING: dict[str, Callable[[Transaction, Person, str, JSON], bool]] = {
    "id": _set_identifier,
    "email": _set_email,
    "phone": _set_phone,
    "anonymous_id": _set_anonymous_id,
}
"""What each attribute that identifies does; True when it is kept among the others."""


_ROLES = ("primary", "secondary")

_MOVES = (
    "UPDATE events SET cio_id = ? WHERE cio_id = ?",
    "UPDATE devices SET cio_id = ? WHERE cio_id = ?",
    "UPDATE anonymous_ids SET cio_id = ? WHERE cio_id = ?",
    "UPDATE OR IGNORE segment_members SET cio_id = ? WHERE cio_id = ?",
)


def merge_people(transaction: Transaction, operation: JSON) -> None:
    """Merge ``secondary`` into ``primary``, then delete it (``person_merge``).

    Source: ``POST /api/v1/merge_customers``. The primary gains the attributes that it
    lacks, events, segments, devices and relationships; "If the primary profile doesn't
    exist, your request won't do anything". The secondary's ``id`` and ``email`` are
    not inherited: they are free again. A merge that does nothing is noted, also when
    two names turn out to be the same person's.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    found = {
        role: find(transaction, *next(iter(operation[role].items()))) for role in _ROLES
    }
    for role, person in found.items():
        if person is None:
            transaction.note(HALF_A_MERGE, operation[role], role, operation)
    primary, secondary = found.values()
    if primary is None or secondary is None:
        return
    if primary == secondary:
        named = operation["secondary"]
        transaction.note(SAME_PERSON, named, "secondary", operation, cio_id=primary)
        return
    _inherit_attributes(transaction, primary, secondary)
    carry_over(transaction, Party(secondary), primary)
    for move in _MOVES:
        transaction.database.execute(move, (primary, secondary))
    transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (secondary,))


def _inherit_attributes(transaction: Transaction, primary: str, secondary: str) -> None:
    """Fill in "attributes that are not set, or are empty, on the primary"."""
    (own, phone), (inherited, other_phone) = (
        transaction.database.execute(
            "SELECT attributes, phone FROM people WHERE cio_id = ?", (person,)
        ).fetchone()
        for person in (primary, secondary)
    )
    attributes = values.decode(inherited) | values.decode(own)
    transaction.database.execute(
        "UPDATE people SET attributes = ?, phone = ? WHERE cio_id = ?",
        (values.text(attributes), phone or other_phone, primary),
    )
