"""Events, devices and delivery metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.sandbox.activity import REPEATED
from target_customerio.sandbox.identity import find, find_or_create
from target_customerio.sandbox.workspace import decode, encode_text, merge

if TYPE_CHECKING:
    from target_customerio.sandbox.workspace import Transaction, ValidOperation
    from target_customerio.track_api.operations import JSON


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
"""The metrics of all channels (``POST /api/v1/metrics``)."""


def record_event(transaction: Transaction, operation: ValidOperation) -> None:
    """Store an event, page or screen view, or content report (``person_event``, ...).

    The person is created if missing. A repeated ``id`` is ignored: "If an event repeats
    a value we've already received, we ignore the duplicate" (schema ``dedupe_id``),
    even if the event has been deleted since. Spaces around a name are dropped (``POST
    /api/v1/customers/{identifier}/events``).
    """
    identifiers = operation["identifiers"]
    if _is_repeated(transaction, operation.get("id")):
        transaction.log_activity(REPEATED, identifiers, "id", operation)
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
            encode_text(operation.get("attributes") or {}),
            transaction.received_at,
        ),
    )


def _is_repeated(transaction: Transaction, ulid: str | None) -> bool:
    """Return whether a ULID was seen before, in either case; remember it."""
    if ulid is None:
        return False
    inserted = transaction.database.execute(
        "INSERT OR IGNORE INTO event_ids VALUES (?)", (ulid.upper(),)
    )
    return not inserted.rowcount


def add_device(transaction: Transaction, operation: ValidOperation) -> None:
    """Add or update a device of a person (``person_add_device``).

    A token is one device: added to another person, it moves there. The person is
    created if missing: "calls that update customers by ID can also create a customer"
    (``DELETE /api/v1/customers/{identifier}``).
    """
    person = find_or_create(transaction, operation["identifiers"])
    if person is None:
        return
    device = operation["device"]
    row = transaction.database.execute(
        "SELECT attributes FROM devices WHERE token = ?", (device["token"],)
    ).fetchone()
    stored = decode(row[0]) if row else {}
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
            encode_text(merge(stored, device.get("attributes") or {})),
            transaction.received_at,
        ),
    )


def delete_device(transaction: Transaction, operation: ValidOperation) -> None:
    """Delete a device if it belongs to the person (``person_delete_device``)."""
    ((kind, value),) = operation["identifiers"].items()
    transaction.database.execute(
        "DELETE FROM devices WHERE token = ? AND cio_id = ?",
        (operation["device"]["token"], find(transaction, kind, value)),
    )


def record_metric(transaction: Transaction, metric: ValidOperation) -> None:
    """Store a delivery metric (``POST /api/v1/metrics``)."""
    transaction.database.execute(
        "INSERT INTO deliveries (delivery_id, metric, timestamp, recipient, reason,"
        " href, attributes, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            metric["delivery_id"],
            metric["metric"],
            metric.get("timestamp"),
            *(_text(metric.get(field)) for field in ("recipient", "reason", "href")),
            encode_text(metric.get("metadata") or {}),
            transaction.received_at,
        ),
    )


def _text(value: JSON) -> str | None:
    """Return text or None unchanged, and any other value as JSON."""
    if value is None or isinstance(value, str):
        return value
    return encode_text(value)
