"""How much may be sent at once, how often, and for how long it is tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds that every request keeps to.

    Sizes are those of Customer.io's Track API (API description, "v2 API Limits"); the
    rest are settings of the target, under their own names.

    Attributes:
        batch_bytes: Most bytes in the body of one request.
        operation_bytes: Most bytes of one operation.
        batch_operations: Most operations in one request (``batch_size_rows``).
        concurrency: Most requests in flight (``max_concurrent_requests``).
        requests_per_second: Most requests in any second, over all connections; below
            one, the longest time without a request is its inverse.
        request_timeout_seconds: Longest wait for a connection, and for an answer.
        max_retry_seconds: Longest time for which one request is tried again.
        linger_seconds: Longest time that an operation waits for others to share a
            request with.
    """

    batch_bytes: int = 500_000
    operation_bytes: int = 32_768
    batch_operations: int = 1_000
    concurrency: int = 4
    requests_per_second: float = 100.0
    request_timeout_seconds: float = 30.0
    max_retry_seconds: float = 600.0
    linger_seconds: float = 2.0

    @property
    def held_bytes(self) -> int:
        """Most bytes taken in and not yet delivered: two requests a lane."""
        return 2 * self.concurrency * self.batch_bytes

    @property
    def held_origin_bytes(self) -> int:
        """Most bytes of the records that they come from.

        Those that take much: as a rule a record is as large as its operation, but much
        of it may not be sent.
        """
        return 8 * self.held_bytes

    @property
    def held_operations(self) -> int:
        """Most operations taken in and not yet delivered: two requests a lane."""
        return 2 * self.concurrency * self.batch_operations
