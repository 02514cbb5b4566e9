"""What became of a message."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from target_customerio.operations.base import JSON, Attributes, Operation


class DeliveryReport(Operation, kw_only=True):
    """What became of a message (``POST /api/v1/metrics``)."""

    label = "delivery report"
    delivery_id: str
    metric: str
    timestamp: int | UnsetType = UNSET
    recipient: JSON | UnsetType = UNSET
    reason: JSON | UnsetType = UNSET
    href: JSON | UnsetType = UNSET
    metadata: Attributes | UnsetType = UNSET

    def identities(self) -> tuple[str, ...]:
        """Return the delivery."""
        return (f"delivery:{self.delivery_id}",)
