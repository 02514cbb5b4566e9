"""Objects (companies, accounts, ...), relationships and segment membership."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from target_customerio.sandbox.activity import (
    SUPPRESSED,
    UNKNOWN_CIO_ID,
    UNKNOWN_MEMBER,
)
from target_customerio.sandbox.identity import find, find_or_create, is_suppressed
from target_customerio.sandbox.workspace import decode, encode_text, merge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.sandbox.activity import Activity
    from target_customerio.sandbox.workspace import Transaction, ValidOperation
    from target_customerio.track_api.operations import (
        JSON,
        Attributes,
        ObjectIdentifiers,
        PersonIdentifiers,
    )


SEGMENT_ID_TYPES = ("id", "email", "cio_id")
MAX_SEGMENT_IDS = 1000

ObjectKey: TypeAlias = tuple[str, str]
"""An object's ``object_type_id`` and ``object_id``."""


class _Statements(NamedTuple):
    """The statements for one table of relationships."""

    list: str
    read: str
    write: str
    delete: str


_PERSON = _Statements(
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


class RelatedPerson(NamedTuple):
    """The person in a relationship, by ``cio_id`` or by ``anonymous_id``."""

    key: str
    statements: _Statements = _PERSON


def anonymous(anonymous_id: str) -> RelatedPerson:
    """Return a person who has not been identified yet."""
    return RelatedPerson(anonymous_id, _ANONYMOUS)


def identify(transaction: Transaction, operation: ValidOperation) -> None:
    """Add or update an object, and relate it to people (``object_identify``)."""
    key = _object_key(operation["identifiers"])
    row = transaction.database.execute(
        "SELECT attributes FROM objects WHERE object_type_id = ? AND object_id = ?", key
    ).fetchone()
    stored = decode(row[0]) if row else {}
    attributes = merge(stored, operation.get("attributes") or {})
    transaction.database.execute(
        "INSERT INTO objects VALUES (?, ?, ?, ?)"
        " ON CONFLICT (object_type_id, object_id)"
        " DO UPDATE SET attributes = excluded.attributes",
        (*key, encode_text(attributes), transaction.received_at),
    )
    add_relationships(transaction, operation)


def identify_anonymous(transaction: Transaction, operation: ValidOperation) -> None:
    """Add or update an object, and relate it to anonymous people.

    Source: schema ``object_identify_anonymous``, which has them in
    ``cio_relationships``, and in its example as an ``anonymous_id`` next to
    ``identifiers``.
    """
    related = list(operation.get("cio_relationships") or ())
    if "anonymous_id" in operation:
        related.append({"identifiers": {"anonymous_id": operation["anonymous_id"]}})
    identify(transaction, {**operation, "cio_relationships": related})


def delete(transaction: Transaction, operation: ValidOperation) -> None:
    """Delete an object and its relationships (``object_delete``)."""
    transaction.database.execute(
        "DELETE FROM objects WHERE object_type_id = ? AND object_id = ?",
        _object_key(operation["identifiers"]),
    )


def add_relationships(transaction: Transaction, operation: ValidOperation) -> None:
    """Relate an object to people (``object_add_relationships``).

    The object and the people are created if missing; suppressed people are left out.
    """
    key = _object_key(operation["identifiers"])
    for relationship in operation.get("cio_relationships") or ():
        person = _related_person(transaction, key, relationship)
        if person:
            attributes = relationship.get("relationship_attributes")
            _relate(transaction, key, person, attributes)


def delete_relationships(transaction: Transaction, operation: ValidOperation) -> None:
    """Delete relationships of an object (``object_delete_relationships``)."""
    key = _object_key(operation["identifiers"])
    for relationship in operation["cio_relationships"]:
        ((kind, value),) = relationship["identifiers"].items()
        person = find(transaction, kind, value)
        if person:
            _delete(transaction, key, RelatedPerson(person))
        elif kind == "cio_id":
            _log_activity(transaction, UNKNOWN_CIO_ID, key, relationship)


def relate_person(
    transaction: Transaction, person: str, relationships: Iterable[ValidOperation]
) -> None:
    """Relate a person (a ``cio_id``) to objects, which are created if missing."""
    for relationship in relationships:
        _relate(
            transaction,
            _object_key(relationship["identifiers"]),
            RelatedPerson(person),
            relationship.get("relationship_attributes"),
        )


def move_relationships(
    transaction: Transaction, source: RelatedPerson, person: str
) -> None:
    """Move relationships to a person (a ``cio_id``), whose own attributes win."""
    target = RelatedPerson(person)
    rows = transaction.database.execute(source.statements.list, (source.key,))
    for object_type_id, object_id, attributes in rows.fetchall():
        key = (object_type_id, object_id)
        own = _read(transaction, key, target)
        _write(transaction, key, target, decode(attributes) | own)
        _delete(transaction, key, source)


def _object_key(identifiers: ObjectIdentifiers) -> ObjectKey:
    return identifiers["object_type_id"], identifiers["object_id"]


def _related_person(
    transaction: Transaction, key: ObjectKey, relationship: ValidOperation
) -> RelatedPerson | None:
    """Return the person to relate, created if missing; None, logged, if impossible."""
    identifiers: PersonIdentifiers = relationship["identifiers"]
    ((kind, value),) = identifiers.items()
    if is_suppressed(transaction, kind, value):
        _log_activity(transaction, SUPPRESSED, key, relationship)
        return None
    person = find_or_create(transaction, identifiers)
    if person:
        return RelatedPerson(person)
    if kind == "anonymous_id":
        return anonymous(value)
    _log_activity(transaction, UNKNOWN_CIO_ID, key, relationship)
    return None


def _log_activity(
    transaction: Transaction,
    activity: Activity,
    key: ObjectKey,
    relationship: ValidOperation,
) -> None:
    """Log a relationship that was neither added nor deleted."""
    person: PersonIdentifiers = relationship["identifiers"]
    object_type_id, object_id = key
    value = {"object_type_id": object_type_id, "object_id": object_id, **relationship}
    transaction.log_activity(activity, person, next(iter(person)), value)


def _relate(
    transaction: Transaction,
    key: ObjectKey,
    person: RelatedPerson,
    new: Attributes | None,
) -> None:
    transaction.database.execute(
        "INSERT OR IGNORE INTO objects (object_type_id, object_id, received_at)"
        " VALUES (?, ?, ?)",
        (*key, transaction.received_at),
    )
    stored = _read(transaction, key, person)
    _write(transaction, key, person, merge(stored, new or {}))


def _delete(transaction: Transaction, key: ObjectKey, person: RelatedPerson) -> None:
    transaction.database.execute(person.statements.delete, (*key, person.key))


def _read(
    transaction: Transaction, key: ObjectKey, person: RelatedPerson
) -> Attributes:
    row = transaction.database.execute(
        person.statements.read, (*key, person.key)
    ).fetchone()
    attributes: Attributes = decode(row[0]) if row else {}
    return attributes


def _write(
    transaction: Transaction,
    key: ObjectKey,
    person: RelatedPerson,
    attributes: Attributes,
) -> None:
    transaction.database.execute(
        person.statements.write,
        (*key, person.key, encode_text(attributes), transaction.received_at),
    )


def add_to_segment(
    transaction: Transaction, segment: int, id_type: str, ids: list[JSON]
) -> None:
    """Add people to a segment; unknown people are ignored and logged."""
    transaction.database.executemany(
        "INSERT OR IGNORE INTO segment_members VALUES (?, ?, ?)",
        [
            (segment, person, transaction.received_at)
            for person in _find_all(transaction, id_type, ids)
        ],
    )


def remove_from_segment(
    transaction: Transaction, segment: int, id_type: str, ids: list[JSON]
) -> None:
    """Remove people from a segment; unknown people are ignored and logged."""
    transaction.database.executemany(
        "DELETE FROM segment_members WHERE segment_id = ? AND cio_id = ?",
        [(segment, person) for person in _find_all(transaction, id_type, ids)],
    )


def _find_all(transaction: Transaction, id_type: str, ids: list[JSON]) -> list[str]:
    people = []
    for value in ids:
        person = find(transaction, id_type, value) if isinstance(value, str) else None
        if person:
            people.append(person)
        else:
            named = {id_type: value if isinstance(value, str) else ""}
            transaction.log_activity(UNKNOWN_MEMBER, named, "ids", value)
    return people
