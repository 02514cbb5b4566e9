"""Queued operations, the requests that contain them, and lanes of requests."""

from __future__ import annotations

import sys
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import encode
from target_customerio.track_api.endpoints import (
    BATCH,
    BATCHED,
    Endpoint,
    Limits,
    endpoint_of,
)

if TYPE_CHECKING:
    from target_customerio.track_api.operations import Operation


END: Final = sys.maxsize
"""A sequence number after that of every operation."""

OPERATION_MEMORY: Final = 800
"""Approximate memory of a small operation beside its body and its record, in bytes."""

IDENTITY_MEMORY: Final = 400
"""Approximate memory of each identity after the first, in bytes."""

LONGEST_IDENTITY: Final = 256
"""Characters above which an identity is replaced by a hash, which orders as well."""


class QueuedOperation(msgspec.Struct, eq=False, gc=False):
    """An encoded operation on its way to Customer.io.

    Attributes:
        stream: The caller's handle to the record's stream; not used here.
        label: Name of the operation in the summary.
        body: The operation as JSON.
        identities: Every person and object that the operation names.
        linked: The identities that the operation makes the same person.
        endpoint: Where it is posted.
        record: The caller's handle to the record; not used here.
        sequence: Position in the run; set by the queue.
        keys: What the operation is ordered by; set by the queue.
        lane: Number of its lane; set by the queue.
        memory: Approximate memory, in bytes; the caller adds that of the record.
        is_recent: Whether it is an event recent enough to trigger campaigns.
    """

    stream: object
    label: str
    body: bytes
    identities: tuple[str, ...]
    linked: tuple[str, ...]
    endpoint: Endpoint
    record: object
    sequence: int = -1
    keys: tuple[str, ...] = ()
    lane: int = -1
    memory: int = OPERATION_MEMORY
    is_recent: bool = False


def encode_operation(
    operation: Operation,
    stream: object,
    record: object,
    max_bytes: int = Limits.operation_bytes,
) -> QueuedOperation:
    """Encode an operation for :meth:`Delivery.put`.

    Args:
        operation: The operation.
        stream: The caller's handle to the record's stream.
        record: The caller's handle to the record.
        max_bytes: Maximum size of the encoded operation, in bytes.

    Returns:
        The encoded operation.

    Raises:
        RejectedRecord: It is too large or cannot be encoded as JSON.
    """
    try:
        body = encode(operation.payload())
    except UnicodeEncodeError:
        message = "text holds half a surrogate pair, which is not valid Unicode"
        raise RejectedRecord("invalid_text", "", message) from None
    except RecursionError:
        message = "the record is nested too deeply"
        raise RejectedRecord("too_deep", "", message) from None
    size = len(body)
    if size > max_bytes:
        message = (
            f"the operation has {size:,} bytes; "
            f"Customer.io accepts at most {max_bytes:,}"
        )
        raise RejectedRecord("too_large", "", message)
    identities = operation.identities()
    linked: tuple[str, ...] = ()
    memory = OPERATION_MEMORY + size
    if len(identities) > 1 or len(identities[0]) > LONGEST_IDENTITY:
        linked = tuple(map(_shortened, operation.linked_identities()))
        identities = tuple(map(_shortened, identities))
        memory += IDENTITY_MEMORY * (len(identities) - 1)
    return QueuedOperation(
        stream,
        operation.label,
        body,
        identities,
        linked,
        # Saves a call per operation for nearly all of them.
        BATCH if isinstance(operation, BATCHED) else endpoint_of(operation),
        record,
        memory=memory,
    )


def _shortened(identity: str) -> str:
    """Return an identity, or a hash in place of a long one, to save memory."""
    if len(identity) <= LONGEST_IDENTITY:
        return identity
    return blake2b(identity.encode(), digest_size=32).hexdigest()


class PendingRequest:
    """Operations of one endpoint, in sequence order, that are sent in one request.

    An operation may be blocked until another lane has finished a sequence number; it
    and the operations after it are then held back.
    """

    __slots__ = (
        "blocks",
        "created",
        "endpoint",
        "is_closed",
        "lane",
        "limits",
        "max_bytes",
        "max_operations",
        "operations",
        "size",
    )

    def __init__(
        self, lane: Lane, first: QueuedOperation, created: float, limits: Limits
    ) -> None:
        """Start a request in a lane with its first operation, at a monotonic time."""
        self.lane = lane
        self.endpoint = first.endpoint
        self.created = created
        self.limits = limits
        self.max_operations = min(
            self.endpoint.max_operations or END, limits.batch_operations
        )
        self.max_bytes = limits.batch_bytes
        self.operations = [first]
        self.size = self.endpoint.envelope_bytes + len(first.body)
        self.blocks: deque[tuple[int, Lane, int]] = deque()
        """Index of an operation, and the lane and sequence number that it waits for."""
        self.is_closed = self.max_operations == 1
        """Whether no more operations may be added."""

    @property
    def first_sequence(self) -> int:
        """Sequence number of the first operation."""
        return self.operations[0].sequence

    @property
    def operation_bytes(self) -> int:
        """Bytes of the operations alone, without separators and envelope."""
        return self.size - self.endpoint.envelope_bytes - len(self.operations) + 1

    def add(self, operation: QueuedOperation) -> bool:
        """Append an operation of the same endpoint; False if there is no room."""
        size = self.size + 1 + len(operation.body)  # 1 for the comma
        if self.is_closed or size > self.max_bytes:
            return False
        self.size = size
        operations = self.operations
        operations.append(operation)
        if len(operations) == self.max_operations:
            self.is_closed = True
        return True

    def block_last(self, lane: Lane, sequence: int) -> None:
        """Hold the last operation back until a lane has finished a sequence number."""
        self.blocks.append((len(self.operations) - 1, lane, sequence))

    def count_sendable(self) -> int:
        """Number of operations, from the first, that are not blocked any more."""
        blocks = self.blocks
        while blocks:
            index, lane, sequence = blocks[0]
            if lane.oldest <= sequence:
                return index
            blocks.popleft()
        return len(self.operations)

    def split(self, count: int) -> tuple[PendingRequest, PendingRequest]:
        """Split into two requests; the first has ``count`` operations, none blocked."""
        parts = []
        for operations in (self.operations[:count], self.operations[count:]):
            part = PendingRequest(self.lane, operations[0], self.created, self.limits)
            part.operations.extend(operations[1:])
            part.size += sum(1 + len(each.body) for each in operations[1:])
            parts.append(part)
        head, tail = parts
        tail.blocks.extend(
            (index - count, lane, sequence) for index, lane, sequence in self.blocks
        )
        return head, tail


class Lane:
    """A queue of requests, of which at most one is in flight.

    The first sequence numbers of the requests increase, so the oldest unfinished
    operation is in the first request.
    """

    __slots__ = ("blocked_on", "in_flight", "index", "requests", "urgent_until")

    def __init__(self, index: int) -> None:
        """Create an empty lane."""
        self.index = index
        self.requests: deque[PendingRequest] = deque()
        self.in_flight: PendingRequest | None = None
        self.urgent_until = -1
        """Sequence number up to which another lane waits for this one."""
        self.blocked_on: Lane | None = None

    @property
    def last(self) -> PendingRequest | None:
        """The last request that is not in flight."""
        return self.requests[-1] if self.requests else None

    @property
    def oldest(self) -> int:
        """Smallest unfinished sequence number."""
        if self.in_flight is not None:
            return self.in_flight.first_sequence
        return self.requests[0].first_sequence if self.requests else END

    @property
    def load(self) -> tuple[int, int, int]:
        """Number of requests, bytes in the last one, and how long one is in flight."""
        requests = len(self.requests) + (self.in_flight is not None)
        size = self.requests[-1].size if self.requests else 0
        return requests, size, -self.oldest

    def send(self, count: int) -> PendingRequest:
        """Put the first ``count`` operations of the first request in flight."""
        request = self.requests.popleft()
        request.is_closed = True
        if count < len(request.operations):
            request, rest = request.split(count)
            rest.is_closed = bool(self.requests)  # nothing is added to it any more
            self.requests.appendleft(rest)
        self.in_flight = request
        return request
