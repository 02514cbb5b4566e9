"""Who is who: finding and creating people by their identifiers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from target_customerio.sandbox.store import UNKNOWN_CIO_ID

if TYPE_CHECKING:
    from target_customerio.sandbox.store import Transaction
    from target_customerio.track_api.operations import JSON, PersonIdentifiers


_FIND = {
    "id": "SELECT cio_id FROM people WHERE id = ?",
    "email": "SELECT cio_id FROM people WHERE email_lower = ?",
    "phone": "SELECT cio_id FROM people WHERE phone = ? ORDER BY rowid LIMIT 1",
    "cio_id": "SELECT cio_id FROM people WHERE cio_id = ?",
    "anonymous_id": "SELECT cio_id FROM anonymous_ids WHERE anonymous_id = ?",
}

_NAME = {
    "id": "UPDATE people SET id = ? WHERE cio_id = ?",
    "email": "UPDATE people SET email = ?, email_lower = ? WHERE cio_id = ?",
    "phone": "UPDATE people SET phone = ? WHERE cio_id = ?",
}

CREATORS = tuple(_NAME)
"""Identifiers under which a person can be created.

A ``cio_id`` is Customer.io's own to give: "If the ``cio_id`` does not exist or belongs
to a person who was deleted, we'll drop the request" (``PUT
/api/v1/customers/{identifier}``).
"""


def comparable(kind: str, value: str) -> str:
    """Return an identifier's value as it is compared.

    Args:
        kind: The kind of identifier.
        value: Its value.

    Returns:
        An e-mail address in lower case, anything else as it is.
    """
    return value.lower() if kind == "email" else value


def find(transaction: Transaction, kind: str, value: str) -> str | None:
    """Find a person.

    A phone number that several people share names the first of them.

    Args:
        transaction: The open transaction.
        kind: The kind of identifier, ``anonymous_id`` included.
        value: Its value.

    Returns:
        The person's ``cio_id``, or None.
    """
    row = transaction.database.execute(
        _FIND[kind], (comparable(kind, value),)
    ).fetchone()
    return row[0] if row else None


def name_of(transaction: Transaction, person: str) -> str:
    """Return what the views call a person.

    Args:
        transaction: The open transaction.
        person: The person's ``cio_id``.

    Returns:
        For instance ``id:42``.
    """
    row = transaction.database.execute(
        "SELECT person FROM person_names WHERE cio_id = ?", (person,)
    ).fetchone()
    text: str = row[0]
    return text


def find_or_create(
    transaction: Transaction, identifiers: PersonIdentifiers
) -> str | None:
    """Find a person, or create them.

    Args:
        transaction: The open transaction.
        identifiers: The one identifier of a person.

    Returns:
        The person's ``cio_id``; None for a ``cio_id`` or ``anonymous_id`` of nobody.
    """
    ((kind, value),) = identifiers.items()
    return find(transaction, kind, value) or create(transaction, kind, value)


def create(transaction: Transaction, kind: str, value: str) -> str | None:
    """Create a person who does not exist yet.

    Args:
        transaction: The open transaction.
        kind: The kind of identifier.
        value: Its value.

    Returns:
        The new ``cio_id``, or None for identifiers that create nobody.
    """
    if kind not in CREATORS:
        return None
    person = secrets.token_hex(8)
    transaction.database.execute(
        "INSERT INTO people (cio_id, received_at) VALUES (?, ?)",
        (person, transaction.received_at),
    )
    name(transaction, person, kind, value)
    return person


def name(transaction: Transaction, person: str, kind: str, value: str | None) -> None:
    """Give a person an identifier in place of the one they have, or take it away.

    Args:
        transaction: The open transaction.
        person: The person's ``cio_id``.
        kind: ``id``, ``email`` or ``phone``.
        value: The new value, which belongs to nobody else; None takes it away.
    """
    values = [value]
    if kind == "email":
        values.append(value and comparable(kind, value))
    transaction.database.execute(_NAME[kind], (*values, person))


def is_suppressed(transaction: Transaction, kind: str, value: str) -> bool:
    """Tell whether an identifier is suppressed.

    Args:
        transaction: The open transaction.
        kind: The kind of identifier.
        value: Its value.

    Returns:
        True when operations that name it are to be ignored.
    """
    row = transaction.database.execute(
        "SELECT 1 FROM suppressions WHERE kind = ? AND value = ?",
        (kind, comparable(kind, value)),
    ).fetchone()
    return row is not None


def suppress(transaction: Transaction, operation: JSON) -> None:
    """Delete a person and suppress every identifier of theirs (``person_suppress``).

    Source: ``POST /api/v1/customers/{identifier}/suppress``. An identifier that names
    nobody is suppressed too; a ``cio_id`` that does is not, for nobody can bear it.
    To suppress somebody again changes nothing.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    identifiers: PersonIdentifiers = operation["identifiers"]
    ((kind, value),) = identifiers.items()
    person = find(transaction, kind, value)
    names = dict(identifiers)
    if kind == "cio_id" and person is None:
        transaction.note(UNKNOWN_CIO_ID, identifiers, kind, operation)
    if person:
        row = transaction.database.execute(
            "SELECT id, email, phone FROM people WHERE cio_id = ?", (person,)
        ).fetchone()
        names |= zip(("id", "email", "phone"), row, strict=True)
        transaction.database.execute("DELETE FROM people WHERE cio_id = ?", (person,))
    together = person or secrets.token_hex(8)
    transaction.database.executemany(
        "INSERT OR IGNORE INTO suppressions (kind, value, person, received_at)"
        " VALUES (?, ?, ?, ?)",
        [
            (kind, comparable(kind, value), together, transaction.received_at)
            for kind, value in names.items()
            if value and kind != "cio_id"
        ],
    )


def unsuppress(transaction: Transaction, operation: JSON) -> None:
    """Accept again all identifiers that were suppressed together.

    Source: ``POST /api/v1/customers/{identifier}/unsuppress``: "both the person's email
    and ID are unsuppressed", and the profile does not come back.

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    ((kind, value),) = operation["identifiers"].items()
    transaction.database.execute(
        "DELETE FROM suppressions WHERE person = (CASE WHEN :kind = 'cio_id'"
        " THEN :value ELSE (SELECT person FROM suppressions WHERE kind = :kind"
        " AND value = :value) END)",
        {"kind": kind, "value": comparable(kind, value)},
    )
