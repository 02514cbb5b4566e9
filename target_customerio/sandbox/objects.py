"""Objects: companies, accounts, courses, whatever people belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json
from .attributes import merge
from .relationships import add_to_object, object_key

if TYPE_CHECKING:
    from target_customerio.operations import JSON

    from .transaction import Transaction


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
    present = exact_json.decode(row[0]) if row else {}
    attributes = merge(present, operation.get("attributes") or {})
    transaction.database.execute(
        "INSERT INTO objects VALUES (?, ?, ?, ?)"
        " ON CONFLICT (object_type_id, object_id)"
        " DO UPDATE SET attributes = excluded.attributes",
        (*key, exact_json.text(attributes), transaction.received_at),
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
