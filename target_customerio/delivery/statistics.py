"""What the delivery has cost so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """Counts over all connections.

    Attributes:
        requests: Requests sent, tries again included.
        retries: How many of them had been sent before.
        bytes_sent: Bytes of their bodies.
        seconds_throttled: Time during which at least one connection was held back by
            the rate limit or at Customer.io's request.
    """

    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds_throttled: float = 0.0
