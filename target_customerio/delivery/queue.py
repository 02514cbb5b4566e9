"""Queue that keeps the order of operations and fills requests."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from target_customerio.delivery.identity_links import IdentityLinks
from target_customerio.delivery.request import Lane, PendingRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.delivery.request import QueuedOperation
    from target_customerio.track_api.endpoints import Endpoint, Limits


_sequence: Final = attrgetter("sequence")
_memory: Final = attrgetter("memory")


class OperationQueue:
    """Spreads operations over lanes and keeps the order per person and object.

    Each lane has at most one request in flight and sends its operations in order. An
    operation with a key (a person or object) that has unfinished operations is appended
    to the lane of those operations. If several lanes have unfinished operations of its
    keys, it is appended to the lane with the latest of them and blocked until the other
    lanes have finished theirs. So of two operations with a common key, the later one is
    sent only after the earlier one is finished, or in the same request, in order.

    There is no deadlock: an operation is blocked by earlier operations only. The
    operation with the smallest unfinished sequence number is the first of its lane and
    is not blocked, since everything before it is finished. It is in flight, or it is
    sent at the latest when it has waited for ``linger_seconds``.

    A lane sends a request that is full, that has lingered, that another lane waits for,
    or that holds up requests behind it while the queue is full
    (:meth:`stop_lingering`); during :attr:`flushing` it sends any request. A full
    request with a blocked operation is not split: the lane that blocks it is told to
    send sooner.

    The queue has no threads and no clock. It calls ``wake`` with a lane's number
    whenever :meth:`take` or :meth:`next_check` may have a new result for that lane.
    """

    def __init__(self, limits: Limits, wake: Callable[[int], None]) -> None:
        """Create an empty lane for each concurrent request."""
        self.flushing = False
        self._limits = limits
        self._max_operations = limits.held_operations
        self._max_bytes = limits.held_bytes
        self._max_memory = limits.held_memory
        self._wake = wake
        self._lanes = [Lane(index) for index in range(limits.concurrency)]
        self._no_lingering = False
        self._open_requests: dict[Endpoint, PendingRequest] = {}
        """The request of each endpoint that operations without predecessors join."""
        self._links = IdentityLinks()
        self._linked = self._links.parents
        self._last_by_key: dict[str, QueuedOperation] = {}
        """The last unfinished operation of each key."""
        self._next_sequence = 0
        self._finished = 0
        self._held_bytes = 0
        self._held_memory = 0

    @property
    def held_operations(self) -> int:
        """Number of operations that are queued or in flight."""
        return self._next_sequence - self._finished

    @property
    def held_bytes(self) -> int:
        """Bytes of the operations that are queued or in flight."""
        return self._held_bytes

    @property
    def held_memory(self) -> int:
        """Approximate memory of the operations and their records, in bytes."""
        return self._held_memory

    @property
    def next_sequence(self) -> int:
        """Sequence number of the next operation."""
        return self._next_sequence

    @property
    def low_watermark(self) -> int:
        """Smallest unfinished sequence number."""
        return min(self._next_sequence, *(lane.oldest for lane in self._lanes))

    @property
    def room(self) -> int:
        """Number of operations that fit in, if no record is larger than they may be."""
        operations = self._max_operations - self.held_operations
        largest = self._limits.operation_bytes
        return min(
            operations,
            (self._max_bytes - self._held_bytes) // largest,
            max(0, self._max_memory - self._held_memory) // (3 * largest),
        )

    def has_room(self, operation: QueuedOperation) -> bool:
        """Whether an operation fits in; an empty queue takes any operation."""
        held = self._next_sequence - self._finished
        return held == 0 or (
            held < self._max_operations
            and self._held_bytes + len(operation.body) <= self._max_bytes
            and self._held_memory + operation.memory <= self._max_memory
        )

    def put(self, operation: QueuedOperation, now: float) -> None:
        """Add the next operation of the run to a lane."""
        operation.sequence = sequence = self._next_sequence
        self._next_sequence = sequence + 1
        self._held_bytes += len(operation.body)
        self._held_memory += operation.memory
        keys = operation.identities
        if len(keys) > 1 or keys[0] in self._linked:
            keys = self._links.keys(operation)
        operation.keys = keys
        last_by_key = self._last_by_key
        earlier: tuple[QueuedOperation, ...] = ()
        for key in keys:
            before = last_by_key.get(key)
            if before is not None:
                earlier += (before,)
            last_by_key[key] = operation
        if earlier:
            request = self._append_after(earlier, operation, now)
        else:  # it may join any request with room
            open_request = self._open_requests.get(operation.endpoint)
            if open_request is not None and open_request.add(operation):
                request = open_request
            else:
                request = self._open_another(open_request, operation, now)
        lane = request.lane
        operation.lane = index = lane.index
        if lane.in_flight is None and (
            request.is_closed or request.operations[0] is operation
        ):
            self._wake(index)

    def take(self, index: int, now: float) -> Sequence[QueuedOperation] | None:
        """Take the operations that a lane sends now in one request, in order.

        They are in flight until :meth:`finish`. None if the lane has to wait.
        """
        lane = self._lanes[index]
        if lane.in_flight is not None or not lane.requests:
            return None
        request = lane.requests[0]
        is_urgent = self._is_urgent(lane, request, now)
        if not is_urgent and not request.is_closed:
            return None
        count = request.count_sendable()
        if count < len(request.operations):
            self._expedite_blocker(lane, request)
            if count == 0 or not is_urgent:
                return None
        if self._open_requests.get(request.endpoint) is request:
            del self._open_requests[request.endpoint]
        return lane.send(count).operations

    def next_check(self, index: int, now: float) -> float | None:
        """Time at which a lane has to be checked again; None if it will be woken."""
        lane = self._lanes[index]
        if lane.in_flight is not None or not lane.requests:
            return None
        due = lane.requests[0].created + self._limits.linger_seconds
        return due if due > now else None

    def finish(self, index: int) -> None:
        """Count the operations that a lane has in flight as finished."""
        lane = self._lanes[index]
        request = lane.in_flight
        if request is None:
            return
        lane.in_flight = None
        self._no_lingering = False
        self._release(request.operations)
        self._held_bytes -= request.operation_bytes
        self._finished += len(request.operations)
        for other in self._lanes:
            if other.blocked_on is lane:
                other.blocked_on = None
                self._wake(other.index)

    def flush(self) -> None:
        """Send every request without waiting for more operations."""
        self.flushing = True
        self._wake_all()

    def stop_lingering(self) -> None:
        """Until something is finished, let no request linger in front of others.

        Otherwise requests of rarely used endpoints could hold up full requests while
        the queue is full and takes no more operations.
        """
        if not self._no_lingering:
            self._no_lingering = True
            self._wake_all()

    def _wake_all(self) -> None:
        for lane in self._lanes:
            self._wake(lane.index)

    def _open_another(
        self, full: PendingRequest | None, operation: QueuedOperation, now: float
    ) -> PendingRequest:
        """Close a full request and open another in the lane with the least load."""
        if full is not None and not full.is_closed:
            full.is_closed = True
            self._wake(full.lane.index)
        lane = min(self._lanes, key=lambda each: each.load)
        request = self._append(lane, operation, now)
        self._open_requests[operation.endpoint] = request
        return request

    def _append_after(
        self, earlier: Sequence[QueuedOperation], operation: QueuedOperation, now: float
    ) -> PendingRequest:
        """Append an operation to the lane of its latest predecessor.

        So the requests of a lane stay in the order of their first operations, also
        after a split at a blocked operation.
        """
        latest = max(earlier, key=_sequence) if earlier[1:] else earlier[0]
        request = self._append(self._lanes[latest.lane], operation, now)
        for each in earlier:
            if each.lane != latest.lane:
                request.block_last(self._lanes[each.lane], each.sequence)
        return request

    def _append(
        self, lane: Lane, operation: QueuedOperation, now: float
    ) -> PendingRequest:
        """Append an operation to the last request of a lane, or to a new one."""
        last = lane.last
        if last is not None:
            same_endpoint = last.endpoint == operation.endpoint
            if same_endpoint and last.add(operation):
                return last
            # Close it, unless operations without predecessors still join it.
            if same_endpoint or last is not self._open_requests.get(last.endpoint):
                last.is_closed = True
        request = PendingRequest(lane, operation, now, self._limits)
        lane.requests.append(request)
        return request

    def _is_urgent(self, lane: Lane, request: PendingRequest, now: float) -> bool:
        return (
            self.flushing
            or (self._no_lingering and self._holds_up_others(lane, request))
            or request.first_sequence <= lane.urgent_until
            or now >= request.created + self._limits.linger_seconds
        )

    def _holds_up_others(self, lane: Lane, request: PendingRequest) -> bool:
        """Tell whether a request must not linger while the queue is full.

        If requests follow it, or if it has half of its lane's share of the operations:
        when the limit of memory is reached first, all lanes may have one request that
        is not full. At least half of the operations are in requests of that size.
        """
        share = self.held_operations / len(self._lanes)
        return len(lane.requests) > 1 or 2 * len(request.operations) >= share

    def _expedite_blocker(self, lane: Lane, request: PendingRequest) -> None:
        """Make the lane that blocks a request send without lingering."""
        _, other, sequence = request.blocks[0]
        lane.blocked_on = other
        if other.urgent_until < sequence:
            other.urgent_until = sequence
            self._wake(other.index)

    def _release(self, operations: Sequence[QueuedOperation]) -> None:
        last_by_key = self._last_by_key
        self._held_memory -= sum(map(_memory, operations))
        for operation in operations:
            for key in operation.keys:
                # Everything before the last operation of a key was finished earlier.
                if last_by_key[key] is operation:
                    del last_by_key[key]
