"""Who is who: finding and creating people by their identifiers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_customerio.operations import PersonIdentifiers

    from .transaction import Transaction

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
