"""Identifying, deleting and merging people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.sandbox.activity import (
    MERGE_PERSON_MISSING,
    MERGE_SAME_PERSON,
    OUTDATED,
    UNKNOWN_DELETED,
    UPDATE_ONLY,
    identifier_replaced,
    identifier_taken,
)
from target_customerio.sandbox.identity import (
    Person,
    create,
    find,
    is_email,
    log_conflict,
    set_email,
    set_identifier,
    set_phone,
    set_unique,
)
from target_customerio.sandbox.objects import (
    RelatedPerson,
    anonymous,
    move_relationships,
    relate_person,
)
from target_customerio.sandbox.workspace import decode, encode_text, is_empty, merge
from target_customerio.track_api.operations import person_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_customerio.sandbox.workspace import Transaction, ValidOperation
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        PersonIdentifiers,
    )


FINDING_ATTRIBUTES = ("id", "email")
"""Attributes that find a person when the operation's identifier does not."""


def identify(transaction: Transaction, operation: ValidOperation) -> None:
    """Add or update a person.

    Source: schema ``identify_person`` and ``PUT /api/v1/customers/{identifier}``.
    """
    identifiers = operation["identifiers"]
    ((kind, value),) = identifiers.items()
    attributes = dict(operation.get("attributes") or {})
    update_only = attributes.pop("_update", None)
    cio_id = _find(transaction, identifiers, attributes)
    if cio_id is None and update_only:
        transaction.log_activity(UPDATE_ONLY, identifiers, "_update", operation)
        return
    cio_id = cio_id or create(transaction, kind, value)
    if cio_id is None:
        return
    person = _read(transaction, cio_id, identifiers)
    timestamp = operation.get("timestamp")
    if _is_outdated(person, timestamp):
        transaction.log_activity(
            OUTDATED, identifiers, "timestamp", attributes, cio_id=cio_id
        )
    else:
        _update(transaction, person, attributes, timestamp)
    relate_person(transaction, cio_id, operation.get("cio_relationships") or ())


def delete(transaction: Transaction, operation: ValidOperation) -> None:
    """Delete a person and everything that belongs to them (``person_delete``).

    Source: ``DELETE /api/v1/customers/{identifier}``: "removes them, and all of their
    information". It has no answer but OK, so one of an unknown person is ignored.
    """
    identifiers: PersonIdentifiers = operation["identifiers"]
    ((kind, value),) = identifiers.items()
    person = find(transaction, kind, value)
    if person is None:
        transaction.log_activity(UNKNOWN_DELETED, identifiers, kind, operation)
        return
    transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (person,))


def _find(
    transaction: Transaction, identifiers: PersonIdentifiers, attributes: Attributes
) -> str | None:
    """Return the person with the identifier, else with the same ``id`` or ``email``.

    The latter then gets the identifier. Source: "If the identifier in the path does not
    belong to a person but you use an identifier in your request body that *does* belong
    to a person, your request updates the person and assigns them the identifier in the
    path."
    """
    ((kind, value),) = identifiers.items()
    person = find(transaction, kind, value)
    if person or kind == "cio_id":
        return person
    for attribute in FINDING_ATTRIBUTES:
        other = attributes.get(attribute)
        if attribute == "email" and not is_email(other):
            continue
        person = find(transaction, attribute, str(other)) if other else None
        if person:
            _replace_identifier(
                transaction, person, identifiers, (attribute, str(other))
            )
            return person
    return None


def _replace_identifier(
    transaction: Transaction,
    person: str,
    identifiers: PersonIdentifiers,
    found_by: tuple[str, str],
) -> None:
    """Give the operation's identifier to a person found by an attribute.

    If it replaces another value, two people may be mixed up; that is logged. Source:
    "The existing person gets the new ``id``. This is a common source of confusion"
    (same place).
    """
    ((kind, value),) = identifiers.items()
    present = getattr(_read(transaction, person, identifiers), kind)
    if present:
        attribute, shared = found_by
        transaction.log_activity(
            identifier_replaced(attribute),
            identifiers,
            attribute,
            shared,
            cio_id=person,
            holder=person_identity({kind: present}),
        )
    set_identifier(transaction, person, kind, value)


def _read(
    transaction: Transaction, cio_id: str, identifiers: PersonIdentifiers
) -> Person:
    id_, email, phone, text, updated_at = transaction.database.execute(
        "SELECT id, email, phone, attributes, attributes_updated_at FROM people"
        " WHERE cio_id = ?",
        (cio_id,),
    ).fetchone()
    attributes = decode(text)
    return Person(cio_id, identifiers, id_, email, phone, attributes, updated_at)


def _is_outdated(person: Person, timestamp: int | None) -> bool:
    """Return whether attributes with a newer timestamp were applied before.

    Source: ``timestamp`` of ``identify_person`` "can be used to control the order of
    attribute updates". Only timestamps in operations are compared, so the result does
    not depend on when a request arrives.
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
    stored = {
        name: value
        for name, value in attributes.items()
        if _apply_identifier(transaction, person, name, value)
    }
    transaction.database.execute(
        "UPDATE people SET attributes = ?, attributes_updated_at = ? WHERE cio_id = ?",
        (
            encode_text(merge(person.attributes, stored)),
            person.updated_at if timestamp is None else timestamp,
            person.cio_id,
        ),
    )


def _apply_identifier(
    transaction: Transaction, person: Person, name: str, value: JSON
) -> bool:
    """Set an attribute that is an identifier, if the person may have it.

    Returns whether the value is stored as an ordinary attribute: instead, if the
    attribute is no identifier, or in addition (``anonymous_id``).
    """
    setter = _SETTERS.get(name)
    return setter is None or setter(transaction, person, name, value)


def _set_anonymous_id(
    transaction: Transaction, person: Person, kind: str, value: JSON
) -> bool:
    """Link an ``anonymous_id`` to the first person who gets it.

    Source: schema ``anonymous_id``: "must be unique and is not reusable".
    """
    if is_empty(value):
        return True
    anonymous_id = str(value)
    holder = find(transaction, kind, anonymous_id)
    if holder is None:
        _link_anonymous_id(transaction, anonymous_id, person.cio_id)
    elif holder != person.cio_id:
        log_conflict(
            transaction, identifier_taken(kind), person, kind, anonymous_id, holder
        )
        return False
    return True


def _link_anonymous_id(
    transaction: Transaction, anonymous_id: str, person: str
) -> None:
    """Give a person the events and relationships of an ``anonymous_id``.

    Source: schemas ``anonymous_id`` (events) and ``object_identify_anonymous``
    (relationships). The age of the events does not matter here.
    """
    transaction.database.execute(
        "INSERT INTO anonymous_ids VALUES (?, ?)", (anonymous_id, person)
    )
    transaction.database.execute(
        "UPDATE events SET cio_id = ? WHERE anonymous_id = ?", (person, anonymous_id)
    )
    move_relationships(transaction, anonymous(anonymous_id), person)


_SETTERS: dict[str, Callable[[Transaction, Person, str, JSON], bool]] = {
    "id": set_unique,
    "email": set_email,
    "phone": set_phone,
    "anonymous_id": _set_anonymous_id,
}


def merge_people(transaction: Transaction, operation: ValidOperation) -> None:
    """Merge ``secondary`` into ``primary``, then delete it (``person_merge``).

    Source: ``POST /api/v1/merge_customers``. The primary gains the attributes that it
    lacks, events, segments, devices and relationships; "If the primary profile doesn't
    exist, your request won't do anything". It does not inherit ``id`` and ``email``,
    which are free again. A merge without effect is logged, also one in which both
    identifiers belong to the same person.
    """
    found = {
        role: find(transaction, *next(iter(operation[role].items())))
        for role in ("primary", "secondary")
    }
    for role, person in found.items():
        if person is None:
            transaction.log_activity(
                MERGE_PERSON_MISSING, operation[role], role, operation
            )
    primary, secondary = found.values()
    if primary is None or secondary is None:
        return
    if primary == secondary:
        identifiers = operation["secondary"]
        transaction.log_activity(
            MERGE_SAME_PERSON, identifiers, "secondary", operation, cio_id=primary
        )
        return
    _inherit_attributes(transaction, primary, secondary)
    move_relationships(transaction, RelatedPerson(secondary), primary)
    for statement in _MOVES:
        transaction.database.execute(statement, (primary, secondary))
    transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (secondary,))


_MOVES = (
    "UPDATE events SET cio_id = ? WHERE cio_id = ?",
    "UPDATE devices SET cio_id = ? WHERE cio_id = ?",
    "UPDATE anonymous_ids SET cio_id = ? WHERE cio_id = ?",
    "UPDATE OR IGNORE segment_members SET cio_id = ? WHERE cio_id = ?",
)


def _inherit_attributes(transaction: Transaction, primary: str, secondary: str) -> None:
    """Fill in "attributes that are not set, or are empty, on the primary"."""
    (own, phone), (inherited, other_phone) = (
        transaction.database.execute(
            "SELECT attributes, phone FROM people WHERE cio_id = ?", (person,)
        ).fetchone()
        for person in (primary, secondary)
    )
    attributes = decode(inherited) | decode(own)
    transaction.database.execute(
        "UPDATE people SET attributes = ?, phone = ? WHERE cio_id = ?",
        (encode_text(attributes), phone or other_phone, primary),
    )
