"""People who are not to be in the workspace, nor come back into it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .identity import comparable, find
from .transaction import UNKNOWN_CIO_ID

if TYPE_CHECKING:
    from target_customerio.operations import JSON, PersonIdentifiers

    from .transaction import Transaction


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
