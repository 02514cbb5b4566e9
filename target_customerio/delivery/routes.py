"""Where an operation is posted, and how operations are put into one body."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from target_customerio.operations import (
    DeliveryReport,
    ObjectOperation,
    PersonOperation,
    SegmentAdd,
    SegmentChange,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.operations import Operation


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
