"""The devices that people can be reached on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json
from .attributes import merge
from .identity import find, find_or_create

if TYPE_CHECKING:
    from target_customerio.operations import JSON

    from .transaction import Transaction


def add(transaction: Transaction, operation: JSON) -> None:
    """Add a device to a person, or update it (``person_add_device``).

    A token is one device: added to another person, it moves to them. The person is
    created when they do not exist, for "calls that update customers by ID can also
    create a customer" (``DELETE /api/v1/customers/{identifier}``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    person = find_or_create(transaction, operation["identifiers"])
    if person is None:
        return
    device = operation["device"]
    row = transaction.database.execute(
        "SELECT attributes FROM devices WHERE token = ?", (device["token"],)
    ).fetchone()
    present = exact_json.decode(row[0]) if row else {}
    transaction.database.execute(
        "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (token) DO UPDATE SET cio_id = excluded.cio_id,"
        " platform = excluded.platform, attributes = excluded.attributes,"
        " last_used = coalesce(excluded.last_used, last_used)",
        (
            device["token"],
            person,
            device["platform"],
            device.get("last_used"),
            exact_json.text(merge(present, device.get("attributes") or {})),
            transaction.received_at,
        ),
    )


def delete(transaction: Transaction, operation: JSON) -> None:
    """Remove a device from the person it belongs to (``person_delete_device``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    ((kind, value),) = operation["identifiers"].items()
    transaction.database.execute(
        "DELETE FROM devices WHERE token = ? AND cio_id = ?",
        (operation["device"]["token"], find(transaction, kind, value)),
    )
