"""Events, page and screen views, and reports on in-app content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json
from .identity import find_or_create

if TYPE_CHECKING:
    from target_customerio.operations import JSON

    from .transaction import Transaction


def record(transaction: Transaction, operation: JSON) -> None:
    """Record what a person, known or not, has done (``person_event`` and siblings).

    The person is created when they do not exist. A repeated ``id`` is ignored
    altogether: "If an event repeats a value we've already received, we ignore the
    duplicate" (schema ``dedupe_id``), even when the event has been deleted since.
    Spaces around a name are dropped (``POST /api/v1/customers/{identifier}/events``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    identifiers = operation["identifiers"]
    if _is_repeated(transaction, operation.get("id")):
        return
    person = find_or_create(transaction, identifiers)
    anonymous_id = identifiers.get("anonymous_id")
    if person is None and anonymous_id is None:
        return
    name = operation.get("name")
    transaction.database.execute(
        "INSERT INTO events (type, name, id, timestamp, cio_id, anonymous_id,"
        " attributes, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            operation["action"],
            name and name.strip(" "),
            operation.get("id"),
            operation.get("timestamp"),
            person,
            anonymous_id,
            exact_json.text(operation.get("attributes") or {}),
            transaction.received_at,
        ),
    )


def _is_repeated(transaction: Transaction, ulid: str | None) -> bool:
    """Remember a ULID, which is the same in capitals and in small letters."""
    if ulid is None:
        return False
    remembered = transaction.database.execute(
        "INSERT OR IGNORE INTO event_ids VALUES (?)", (ulid.upper(),)
    )
    return not remembered.rowcount
