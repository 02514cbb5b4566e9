"""Customer.io's regions, and what to say when a workspace lives in another one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from target_customerio.errors import RegionError
from target_customerio.track_api.operations import (
    DeliveryReport,
    ObjectOperation,
    PersonOperation,
    SegmentAdd,
    SegmentChange,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.track_api.operations import Operation


URLS = MappingProxyType(
    {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
)
"""The Track API of each region (API description, "Server addresses")."""


def wrong_region(region: str) -> RegionError:
    """Say that the workspace lives in another region than the configured one.

    Args:
        region: Where it lives.

    Returns:
        The error that ends the run.
    """
    return RegionError(
        f"The workspace lives in Customer.io's {region.upper()} region: set"
        f" `region: {region}`."
    )


def redirected(status: int, location: str) -> RegionError:
    """Say what a redirect means, which is never followed.

    Args:
        status: The status of the answer.
        location: The URL that it points to.

    Returns:
        The error that ends the run.
    """
    for region, url in URLS.items():
        if _host(location) == _host(url):
            return wrong_region(region)
    return RegionError(
        f"The server redirects elsewhere (HTTP {status}), as Customer.io does for a"
        " workspace of another region: check `region`, and `api_url` if it is set."
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class Route(Struct, frozen=True, cache_hash=True):
    """An endpoint of the Track API that takes operations.

    Routes are values: two that are equal are the same endpoint, and their operations
    may share a request.

    Attributes:
        path: The endpoint's path.
        prefix: What comes before the first operation of a body.
        suffix: What comes after the last one.
        capacity: Most operations in one request; ``None`` leaves it to the limits.
        names_segment: Whether the path names a segment, which may not exist.
    """

    path: str
    prefix: bytes = b""
    suffix: bytes = b""
    capacity: int | None = None
    names_segment: bool = False

    @property
    def envelope_bytes(self) -> int:
        """The bytes of a body without its operations."""
        return len(self.prefix) + len(self.suffix)

    def body(self, operations: Iterable[bytes]) -> bytes:
        """Put encoded operations into one body.

        Args:
            operations: The encoded operations, in the order in which they apply.

        Returns:
            The body of the request.
        """
        parts = [*operations]
        parts[0] = self.prefix + parts[0]
        parts[-1] += self.suffix
        return b",".join(parts)  # half a megabyte, put together only once


BATCH = Route("/api/v2/batch", b'{"batch":[', b"]}")
"""Operations on people and objects, mixed."""

METRICS = Route("/api/v1/metrics", capacity=1)
"""Delivery reports, one at a time and without an envelope."""

BATCHED = (PersonOperation, ObjectOperation)
"""Nearly all operations; what else there is has a route by its kind."""

SEGMENT_CAPACITY = 1_000
"""Most people in one request (``add_to_segment``: ``maxItems``)."""

SEGMENT_ENDPOINTS: dict[type[SegmentChange], str] = {
    SegmentAdd: "add_customers",
    SegmentRemove: "remove_customers",
}


@lru_cache(maxsize=1024)
def segment_route(change: type[SegmentChange], segment_id: str, kind: str) -> Route:
    """Tell where the members of a segment are posted.

    Args:
        change: Whether they join or leave.
        segment_id: The segment.
        kind: The one kind of identifier that a request may hold.

    Returns:
        The route.
    """
    endpoint = SEGMENT_ENDPOINTS[change]
    return Route(
        f"/api/v1/segments/{segment_id}/{endpoint}?id_type={kind}",
        b'{"ids":[',
        b"]}",
        SEGMENT_CAPACITY,
        names_segment=True,
    )


def route_of(operation: Operation) -> Route:
    """Tell where an operation is posted.

    Args:
        operation: Any operation.

    Returns:
        Its route: the batch endpoint unless it has one of its own.
    """
    if isinstance(operation, DeliveryReport):
        return METRICS
    if isinstance(operation, SegmentChange):
        (kind,) = operation.identifiers
        return segment_route(type(operation), operation.segment_id, kind)
    return BATCH


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
