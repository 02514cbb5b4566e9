"""Events, page and screen views, and reports on in-app content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.sandbox import values
from target_customerio.sandbox.identity import find, find_or_create
from target_customerio.sandbox.values import merge

if TYPE_CHECKING:
    from target_customerio.sandbox.store import Transaction
    from target_customerio.track_api.operations import JSON


def record_event(transaction: Transaction, operation: JSON) -> None:
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
            values.text(operation.get("attributes") or {}),
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
    present = values.decode(row[0]) if row else {}
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
            values.text(merge(present, device.get("attributes") or {})),
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


METRICS = frozenset(
    {
        "bounced",
        "clicked",
        "converted",
        "deferred",
        "delivered",
        "dropped",
        "opened",
        "spammed",
    }
)
"""The metrics of all channels together (``POST /api/v1/metrics``)."""

BATCHED_METRICS = frozenset({"opened", "converted", "delivered"})
"""The metrics of a delivery in a batch (``delivery_operations``)."""


def report_delivery(transaction: Transaction, body: JSON) -> None:
    """Record a metric (``POST /api/v1/metrics``).

    Args:
        transaction: The open transaction.
        body: The request's body.
    """
    _record(transaction, body, body.get("metadata") or {})


def record_delivery(transaction: Transaction, operation: JSON) -> None:
    """Record a delivery's event (``delivery_operations``).

    Args:
        transaction: The open transaction.
        operation: The operation.
    """
    body = {
        "delivery_id": operation["identifiers"]["id"],
        "metric": operation["name"],
        "timestamp": operation.get("timestamp"),
    }
    _record(transaction, body, operation["attributes"])


def _record(transaction: Transaction, body: JSON, attributes: JSON) -> None:
    transaction.database.execute(
        "INSERT INTO deliveries (delivery_id, metric, timestamp, recipient, reason,"
        " href, attributes, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            body["delivery_id"],
            body["metric"],
            body.get("timestamp"),
            *(_plain(body.get(field)) for field in ("recipient", "reason", "href")),
            values.text(attributes),
            transaction.received_at,
        ),
    )


def _plain(value: JSON) -> str | None:
    """Return text as it is, and anything else as its JSON."""
    return value if value is None or isinstance(value, str) else values.text(value)
