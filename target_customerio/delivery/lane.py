"""One lane: requests that are sent one after the other."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from target_customerio.errors import RejectedRecord
from target_customerio.json_codec import encode
from target_customerio.track_api.endpoints import (
    BATCH,
    BATCHED,
    Limits,
    Route,
    route_of,
)

if TYPE_CHECKING:
    from target_customerio.track_api.operations import Operation


NOTHING = sys.maxsize
"""A sequence number after every operation's."""


class Draft:
    """Operations of one route that go out in one request.

    They stand in the order of their sequence numbers.
    """

    __slots__ = (
        "gates",
        "lane",
        "limits",
        "most",
        "most_bytes",
        "operations",
        "route",
        "sealed",
        "since",
        "size",
    )

    def __init__(
        self, lane: Lane, first: QueuedOperation, since: float, limits: Limits
    ) -> None:
        """Start a request.

        Args:
            lane: Where it is queued.
            first: Its first operation.
            since: When that came.
            limits: What the request has to keep to.
        """
        self.lane = lane
        self.route = first.route
        self.since = since
        self.limits = limits
        self.most = min(self.route.capacity or NOTHING, limits.batch_operations)
        self.most_bytes = limits.batch_bytes
        self.operations = [first]
        self.size = self.route.envelope_bytes + len(first.body)
        self.gates: deque[tuple[int, Lane, int]] = deque()
        self.sealed = self.most == 1
        """Whether no operation is to be added any more."""

    @property
    def first(self) -> int:
        """The smallest sequence number in the request."""
        return self.operations[0].sequence

    @property
    def operation_bytes(self) -> int:
        """The bytes of the operations, without what joins and encloses them."""
        return self.size - self.route.envelope_bytes - len(self.operations) + 1

    def add(self, operation: QueuedOperation) -> bool:
        """Add an operation of the same route at the end, if it may be in this request.

        Args:
            operation: The operation.

        Returns:
            Whether there was room for it. With the last one that the request can have,
            it is sealed.
        """
        size = self.size + 1 + len(operation.body)  # the comma is the one
        if self.sealed or size > self.most_bytes:
            return False
        self.size = size
        operations = self.operations
        operations.append(operation)
        if len(operations) == self.most:
            self.sealed = True
        return True

    def hold_last_until(self, lane: Lane, sequence: int) -> None:
        """Keep the last operation back by a gate.

        Args:
            lane: The lane to wait for.
            sequence: The sequence number up to which it has to be finished.
        """
        self.gates.append((len(self.operations) - 1, lane, sequence))

    def unblocked(self) -> int:
        """Count the operations that no gate keeps back, and drop the open gates.

        Returns:
            How many operations from the start on may be sent now.
        """
        gates = self.gates
        while gates:
            index, lane, sequence = gates[0]
            if lane.oldest <= sequence:
                return index
            gates.popleft()
        return len(self.operations)

    def split(self, count: int) -> tuple[Draft, Draft]:
        """Divide the request in two.

        Args:
            count: How many operations the first one gets; no gate keeps them back.

        Returns:
            The two requests.
        """
        parts = []
        for operations in (self.operations[:count], self.operations[count:]):
            part = Draft(self.lane, operations[0], self.since, self.limits)
            part.operations.extend(operations[1:])
            part.size += sum(1 + len(each.body) for each in operations[1:])
            parts.append(part)
        head, tail = parts
        tail.gates.extend(
            (index - count, lane, sequence) for index, lane, sequence in self.gates
        )
        return head, tail


class Lane:
    """A queue of requests, of which one may be in flight.

    Each request begins with a smaller sequence number than the next one, so that the
    oldest unfinished operation is found at the front.
    """

    __slots__ = ("blocked_on", "drafts", "in_flight", "index", "urgent_until")

    def __init__(self, index: int) -> None:
        """Open an empty lane.

        Args:
            index: Its number.
        """
        self.index = index
        self.drafts: deque[Draft] = deque()
        self.in_flight: Draft | None = None
        self.urgent_until = -1
        self.blocked_on: Lane | None = None

    @property
    def last(self) -> Draft | None:
        """The request at the end of the queue."""
        return self.drafts[-1] if self.drafts else None

    @property
    def oldest(self) -> int:
        """The smallest sequence number that is not finished."""
        if self.in_flight is not None:
            return self.in_flight.first
        return self.drafts[0].first if self.drafts else NOTHING

    @property
    def load(self) -> tuple[int, int]:
        """What a new operation would wait for: requests, and bytes in the last one."""
        requests = len(self.drafts) + (self.in_flight is not None)
        return requests, self.drafts[-1].size if self.drafts else 0

    def send(self, count: int) -> Draft:
        """Take the first operations of the first request into flight.

        Args:
            count: How many; no gate keeps them back.

        Returns:
            The request to send.
        """
        draft = self.drafts.popleft()
        draft.sealed = True
        if count < len(draft.operations):
            draft, rest = draft.split(count)
            rest.sealed = bool(self.drafts)  # nothing will join it there
            self.drafts.appendleft(rest)
        self.in_flight = draft
        return draft


class QueuedOperation(msgspec.Struct, eq=False, gc=False):
    """One operation between its record and Customer.io.

    Attributes:
        stream: The caller's handle to the record's stream; never looked into.
        label: What the operation is called in the summary.
        body: The operation as JSON.
        identities: Every person and object that it names.
        ties: The identities that it makes one and the same person.
        route: Where it is posted.
        origin: The caller's handle to the record; never looked into.
        sequence: Its place in the run, given when it is put into the delivery.
        keys: Everything it is ordered by, given when it is put into the delivery.
        lane: The number of the lane that it is in, given when it is put there.
        origin_bytes: How much memory the origin takes, in bytes, where that is much.
        is_recent: Whether it is an event young enough to trigger campaigns.
    """

    stream: object
    label: str
    body: bytes
    identities: tuple[str, ...]
    ties: tuple[str, ...]
    route: Route
    origin: object
    sequence: int = -1
    keys: tuple[str, ...] = ()
    lane: int = -1
    origin_bytes: int = 0
    is_recent: bool = False


def enqueueable(
    operation: Operation,
    stream: object,
    origin: object,
    most_bytes: int = Limits.operation_bytes,
) -> QueuedOperation:
    """Encode an operation for its delivery.

    Args:
        operation: The operation.
        stream: The caller's handle to the stream of its record.
        origin: The caller's handle to its record.
        most_bytes: Most bytes that it may take.

    Returns:
        The operation, ready to be put into the delivery.

    Raises:
        RejectedRecord: When it is too large, or cannot be written as JSON.
    """
    try:
        body = encode(operation.payload())
    except UnicodeEncodeError:
        message = "A text holds half of a surrogate pair, which is no Unicode."
        raise RejectedRecord("invalid_text", "", message) from None
    except RecursionError:
        message = "The operation is nested too deeply to be written as JSON."
        raise RejectedRecord("too_deep", "", message) from None
    if len(body) > most_bytes:
        message = (
            f"The operation takes {len(body):,} bytes; "
            f"Customer.io accepts {most_bytes:,}."
        )
        raise RejectedRecord("too_large", "", message)
    identities = operation.identities()
    return QueuedOperation(
        stream,
        operation.label,
        body,
        identities,
        operation.ties() if len(identities) > 1 else (),
        # Nearly all, for which one call less an operation is worth the line.
        BATCH if isinstance(operation, BATCHED) else route_of(operation),
        origin,
    )
