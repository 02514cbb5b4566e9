"""Reports on what became of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exact_json

if TYPE_CHECKING:
    from target_customerio.operations import JSON

    from .transaction import Transaction

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


def report(transaction: Transaction, body: JSON) -> None:
    """Record a metric (``POST /api/v1/metrics``).

    Args:
        transaction: The open transaction.
        body: The request's body.
    """
    _record(transaction, body, body.get("metadata") or {})


def record(transaction: Transaction, operation: JSON) -> None:
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
            exact_json.text(attributes),
            transaction.received_at,
        ),
    )


def _plain(value: JSON) -> str | None:
    """Return text as it is, and anything else as its JSON."""
    return value if value is None or isinstance(value, str) else exact_json.text(value)
