"""Objects: companies, accounts, courses, whatever people belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from target_customerio.sandbox import values
from target_customerio.sandbox.identity import find, find_or_create, is_suppressed
from target_customerio.sandbox.store import SUPPRESSED, UNKNOWN_CIO_ID, UNKNOWN_MEMBER
from target_customerio.sandbox.values import merge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.sandbox.store import Activity, Transaction
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        ObjectIdentifiers,
        PersonIdentifiers,
    )


def identify(transaction: Transaction, operation: JSON) -> None:
    """Add or update an object, and relate it to people (``object_identify``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    key = object_key(operation["identifiers"])
    row = transaction.database.execute(
        "SELECT attributes FROM objects WHERE object_type_id = ? AND object_id = ?", key
    ).fetchone()
    present = values.decode(row[0]) if row else {}
    attributes = merge(present, operation.get("attributes") or {})
    transaction.database.execute(
        "INSERT INTO objects VALUES (?, ?, ?, ?)"
        " ON CONFLICT (object_type_id, object_id)"
        " DO UPDATE SET attributes = excluded.attributes",
        (*key, values.text(attributes), transaction.received_at),
    )
    add_to_object(transaction, operation)


def identify_anonymous(transaction: Transaction, operation: JSON) -> None:
    """Add or update an object, and relate it to people without a name.

    Source: schema ``object_identify_anonymous``, which names them in
    ``cio_relationships``, and in its example by an ``anonymous_id`` beside
    ``identifiers``.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    related = list(operation.get("cio_relationships") or ())
    if "anonymous_id" in operation:
        anonymous = {"anonymous_id": operation["anonymous_id"]}
        related.append({"identifiers": anonymous})
    identify(transaction, {**operation, "cio_relationships": related})


def delete(transaction: Transaction, operation: JSON) -> None:
    """Delete an object and its relationships (``object_delete``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    transaction.database.execute(
        "DELETE FROM objects WHERE object_type_id = ? AND object_id = ?",
        object_key(operation["identifiers"]),
    )


ObjectKey: TypeAlias = tuple[str, str]
"""An object's ``object_type_id`` and ``object_id``."""


class _Statements(NamedTuple):
    """What is asked of a table of relationships."""

    list: str
    read: str
    write: str
    delete: str


_KNOWN = _Statements(
    "SELECT object_type_id, object_id, attributes FROM relationships WHERE cio_id = ?",
    "SELECT attributes FROM relationships"
    " WHERE object_type_id = ? AND object_id = ? AND cio_id = ?",
    "INSERT INTO relationships VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (object_type_id, object_id, cio_id)"
    " DO UPDATE SET attributes = excluded.attributes",
    "DELETE FROM relationships"
    " WHERE object_type_id = ? AND object_id = ? AND cio_id = ?",
)
_ANONYMOUS = _Statements(
    "SELECT object_type_id, object_id, attributes FROM anonymous_relationships"
    " WHERE anonymous_id = ?",
    "SELECT attributes FROM anonymous_relationships"
    " WHERE object_type_id = ? AND object_id = ? AND anonymous_id = ?",
    "INSERT INTO anonymous_relationships VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (object_type_id, object_id, anonymous_id)"
    " DO UPDATE SET attributes = excluded.attributes",
    "DELETE FROM anonymous_relationships"
    " WHERE object_type_id = ? AND object_id = ? AND anonymous_id = ?",
)


class Party(NamedTuple):
    """The human side of a relationship: a ``cio_id``, or an ``anonymous_id``."""

    name: str
    statements: _Statements = _KNOWN


def object_key(identifiers: ObjectIdentifiers) -> ObjectKey:
    """Return the key of an object.

    Args:
        identifiers: The object's identifiers as sent.

    Returns:
        Its type and id.
    """
    return identifiers["object_type_id"], identifiers["object_id"]


def add_to_person(transaction: Transaction, operation: JSON) -> None:
    """Relate a person to objects (``person_add_relationships``).

    The person and the objects are created when they do not exist.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    person = find_or_create(transaction, operation["identifiers"])
    if person:
        relate_person(transaction, person, operation["cio_relationships"])


def delete_from_person(transaction: Transaction, operation: JSON) -> None:
    """Part a person from objects (``person_delete_relationships``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    ((kind, value),) = operation["identifiers"].items()
    person = find(transaction, kind, value)
    if person:
        for relationship in operation["cio_relationships"]:
            _part(transaction, object_key(relationship["identifiers"]), Party(person))


def add_to_object(transaction: Transaction, operation: JSON) -> None:
    """Relate an object to people (``object_add_relationships``).

    The object and the people are created when they do not exist; suppressed people are
    left out.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    key = object_key(operation["identifiers"])
    for relationship in operation.get("cio_relationships") or ():
        party = _party(transaction, key, relationship)
        if party:
            _relate(
                transaction, key, party, relationship.get("relationship_attributes")
            )


def delete_from_object(transaction: Transaction, operation: JSON) -> None:
    """Part an object from people (``object_delete_relationships``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    key = object_key(operation["identifiers"])
    for relationship in operation["cio_relationships"]:
        ((kind, value),) = relationship["identifiers"].items()
        person = find(transaction, kind, value)
        if person:
            _part(transaction, key, Party(person))
        elif kind == "cio_id":
            _note(transaction, UNKNOWN_CIO_ID, key, relationship)


def relate_person(
    transaction: Transaction, person: str, relationships: Iterable[JSON]
) -> None:
    """Relate a person to objects, creating objects that do not exist.

    Args:
        transaction: The open transaction.
        person: The person's ``cio_id``.
        relationships: Objects and relationship attributes (``object_relationships``).
    """
    for relationship in relationships:
        _relate(
            transaction,
            object_key(relationship["identifiers"]),
            Party(person),
            relationship.get("relationship_attributes"),
        )


def carry_over(transaction: Transaction, origin: Party, person: str) -> None:
    """Move relationships to a person; attributes that the person's own have win.

    Args:
        transaction: The open transaction.
        origin: Who had the relationships so far.
        person: The ``cio_id`` of the person who has them from now on.
    """
    heir = Party(person)
    rows = transaction.database.execute(origin.statements.list, (origin.name,))
    for object_type_id, object_id, attributes in rows.fetchall():
        key = (object_type_id, object_id)
        own = _read(transaction, key, heir)
        _write(transaction, key, heir, values.decode(attributes) | own)
        _part(transaction, key, origin)


def unnamed(anonymous_id: str) -> Party:
    """Return the party that has not been identified yet.

    Args:
        anonymous_id: The id, such as a cookie's.

    Returns:
        The party.
    """
    return Party(anonymous_id, _ANONYMOUS)


def _party(
    transaction: Transaction, key: ObjectKey, relationship: JSON
) -> Party | None:
    identifiers: PersonIdentifiers = relationship["identifiers"]
    ((kind, value),) = identifiers.items()
    if is_suppressed(transaction, kind, value):
        _note(transaction, SUPPRESSED, key, relationship)
        return None
    person = find_or_create(transaction, identifiers)
    if person:
        return Party(person)
    if kind == "anonymous_id":
        return unnamed(value)
    _note(transaction, UNKNOWN_CIO_ID, key, relationship)
    return None


def _note(
    transaction: Transaction, activity: Activity, key: ObjectKey, relationship: JSON
) -> None:
    """Note that an object was not related to a person, or parted from them."""
    person: PersonIdentifiers = relationship["identifiers"]
    object_type_id, object_id = key
    value = {"object_type_id": object_type_id, "object_id": object_id, **relationship}
    transaction.note(activity, person, next(iter(person)), value)


def _relate(
    transaction: Transaction, key: ObjectKey, party: Party, new: Attributes | None
) -> None:
    transaction.database.execute(
        "INSERT OR IGNORE INTO objects (object_type_id, object_id, received_at)"
        " VALUES (?, ?, ?)",
        (*key, transaction.received_at),
    )
    present = _read(transaction, key, party)
    _write(transaction, key, party, merge(present, new or {}))


def _part(transaction: Transaction, key: ObjectKey, party: Party) -> None:
    transaction.database.execute(party.statements.delete, (*key, party.name))


def _read(transaction: Transaction, key: ObjectKey, party: Party) -> Attributes:
    row = transaction.database.execute(
        party.statements.read, (*key, party.name)
    ).fetchone()
    attributes: Attributes = values.decode(row[0]) if row else {}
    return attributes


def _write(
    transaction: Transaction, key: ObjectKey, party: Party, attributes: Attributes
) -> None:
    transaction.database.execute(
        party.statements.write,
        (*key, party.name, values.text(attributes), transaction.received_at),
    )


ID_TYPES = ("id", "email", "cio_id")
MOST_IDS = 1000


def add_to_segment(
    transaction: Transaction, segment: int, id_type: str, ids: list[JSON]
) -> None:
    """Add people to a segment; values that name nobody are ignored, and noted.

    Args:
        transaction: The open transaction.
        segment: The segment's id.
        id_type: What kind of identifier ``ids`` are.
        ids: Who is added.
    """
    transaction.database.executemany(
        "INSERT OR IGNORE INTO segment_members VALUES (?, ?, ?)",
        [
            (segment, person, transaction.received_at)
            for person in _people(transaction, id_type, ids)
        ],
    )


def remove_from_segment(
    transaction: Transaction, segment: int, id_type: str, ids: list[JSON]
) -> None:
    """Remove people from a segment; values that name nobody are ignored, and noted.

    Args:
        transaction: The open transaction.
        segment: The segment's id.
        id_type: What kind of identifier ``ids`` are.
        ids: Who is removed.
    """
    transaction.database.executemany(
        "DELETE FROM segment_members WHERE segment_id = ? AND cio_id = ?",
        [(segment, person) for person in _people(transaction, id_type, ids)],
    )


def _people(transaction: Transaction, id_type: str, ids: list[JSON]) -> Iterable[str]:
    people = []
    for value in ids:
        person = find(transaction, id_type, value) if isinstance(value, str) else None
        if person:
            people.append(person)
        else:
            named = {id_type: value if isinstance(value, str) else ""}
            transaction.note(UNKNOWN_MEMBER, named, "ids", value)
    return people
