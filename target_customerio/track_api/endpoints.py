"""Customer.io's regions, endpoints and limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from target_customerio.errors import RegionError
from target_customerio.track_api.operations import (
    DeliveryReport,
    SegmentAdd,
    SegmentChange,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.track_api.operations import Operation


URLS: Final = MappingProxyType(
    {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
)
"""The Track API of each region (API description, "Server addresses")."""


def wrong_region_error(region: str) -> RegionError:
    """Return the error for a workspace in another region than the configured one."""
    return RegionError(
        f"The workspace is in Customer.io's {region.upper()} region: set"
        f" `region: {region}`"
    )


def redirect_error(status: int, location: str) -> RegionError:
    """Return the error for a redirect; redirects are not followed."""
    for region, url in URLS.items():
        if _host(location) == _host(url):
            return wrong_region_error(region)
    return RegionError(
        f"Customer.io redirected the request (HTTP {status}), as it does for a"
        " workspace in another region: check `region`, and `api_url` if set"
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine; requests to it never use a proxy."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Endpoint(Struct, frozen=True, cache_hash=True):
    """An endpoint of the Track API that takes operations.

    Operations of equal endpoints may share a request.

    Attributes:
        path: The path, with the query.
        prefix: JSON before the first operation of a body.
        suffix: JSON after the last operation.
        max_operations: Maximum operations per request; None means no limit of its own.
        has_segment: Whether the path contains the id of a segment, which may not exist.
    """

    path: str
    prefix: bytes = b""
    suffix: bytes = b""
    max_operations: int | None = None
    has_segment: bool = False

    @property
    def envelope_bytes(self) -> int:
        """Bytes of a body without its operations."""
        return len(self.prefix) + len(self.suffix)

    def body(self, operations: Iterable[bytes]) -> bytes:
        """Join encoded operations to the body of a request."""
        parts = [*operations]
        parts[0] = self.prefix + parts[0]
        parts[-1] += self.suffix
        return b",".join(parts)  # copies up to 500 kB only once


BATCH: Final = Endpoint("/api/v2/batch", b'{"batch":[', b"]}")
"""Operations on people and objects, mixed."""

METRICS: Final = Endpoint("/api/v1/metrics", max_operations=1)
"""Delivery reports, one per request and without an envelope."""

SEGMENT_MAX_PEOPLE: Final = 1_000
"""Maximum people per request (``add_to_segment``: ``maxItems``)."""

SEGMENT_ACTIONS: Final[dict[type[SegmentChange], str]] = {
    SegmentAdd: "add_customers",
    SegmentRemove: "remove_customers",
}


MAX_CACHED_SEGMENT_DIGITS: Final = 20
"""Maximum digits of a segment id whose endpoint is cached: ids in records are data."""


def segment_endpoint(
    change: type[SegmentChange], segment_id: str, id_type: str
) -> Endpoint:
    """Return the endpoint for people who join or leave a segment."""
    if len(segment_id) > MAX_CACHED_SEGMENT_DIGITS:
        return _segment_endpoint.__wrapped__(change, segment_id, id_type)
    return _segment_endpoint(change, segment_id, id_type)


@lru_cache(maxsize=1024)
def _segment_endpoint(
    change: type[SegmentChange], segment_id: str, id_type: str
) -> Endpoint:
    return Endpoint(
        f"/api/v1/segments/{segment_id}/{SEGMENT_ACTIONS[change]}?id_type={id_type}",
        b'{"ids":[',
        b"]}",
        SEGMENT_MAX_PEOPLE,
        has_segment=True,
    )


def endpoint_of(operation: Operation) -> Endpoint:
    """Return the endpoint that an operation is sent to."""
    if isinstance(operation, DeliveryReport):
        return METRICS
    if isinstance(operation, SegmentChange):
        (id_type,) = operation.identifiers
        return segment_endpoint(type(operation), operation.segment_id, id_type)
    return BATCH


@dataclass(frozen=True)
class Limits:
    """Limits of requests and of the queue.

    Sizes are Customer.io's (API description, "v2 API Limits"); the rest are settings.

    Attributes:
        batch_bytes: Maximum bytes in the body of a request.
        operation_bytes: Maximum bytes of an operation.
        batch_operations: Maximum operations in a request (``batch_size_rows``).
        concurrency: Maximum concurrent requests (``max_concurrent_requests``).
        requests_per_second: Maximum requests in any second, over all connections;
            below 1, one request per 1/rate seconds.
        request_timeout_seconds: Timeout of a connection, and of a response.
        max_retry_seconds: How long a request is retried.
        flush_interval_seconds: How long an operation waits for others to share a
            request with.
        held_memory: Maximum memory of undelivered operations and their records, in
            bytes, whatever the number of connections.
    """

    batch_bytes: int = 500_000
    operation_bytes: int = 32_768
    batch_operations: int = 1_000
    concurrency: int = 8
    requests_per_second: float = 100.0
    request_timeout_seconds: float = 30.0
    max_retry_seconds: float = 600.0
    flush_interval_seconds: float = 2.0
    held_memory: int = 64 << 20

    @property
    def held_bytes(self) -> int:
        """Maximum bytes of undelivered operations: two requests per lane."""
        return 2 * self.concurrency * self.batch_bytes

    @property
    def held_operations(self) -> int:
        """Maximum number of undelivered operations: two requests per lane."""
        return 2 * self.concurrency * self.batch_operations
