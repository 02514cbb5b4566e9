"""Queue that keeps the order of operations and fills requests."""

from __future__ import annotations

from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from target_customerio.delivery.identity_links import IdentityLinks
from target_customerio.delivery.pool import Group, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.track_api.endpoints import Endpoint, Limits


_memory: Final = attrgetter("memory")
_body: Final = attrgetter("body")
_count: Final = attrgetter("count")
_first_sequence: Final = attrgetter("first_sequence")


class OperationQueue:
    """Keeps the order per person and object, and fills the requests of connections.

    An operation with a key (a person or object) that has unfinished operations joins
    the group of these. A group with a request in flight waits for its end. So of two
    operations with a common key, the later one is sent only after the earlier one is
    finished, or in the same request, in order. A group belongs to no connection: the
    next free one takes what may be sent.

    Operations may share a key as well (:attr:`QueuedOperation.shared`): those need no
    order among themselves, but each is ordered with regard to operations that have the
    key for themselves.

    There is no deadlock: the operation with the smallest unfinished sequence number is
    the first of its group, and nothing that it waits for is unfinished. It is in
    flight, or it is sent at the latest when it has waited for the flush interval.

    A request is sent when it is full, when its oldest group has waited for the flush
    interval, or when the queue is full and nothing better is to be expected
    (:meth:`send_partial_requests`); during :attr:`flushing` any request is sent.

    The queue has no threads and no clock. It calls ``wake`` with the number of an idle
    connection when :meth:`take` or :meth:`next_check` may have a new result for it.
    """

    def __init__(self, limits: Limits, wake: Callable[[int], None]) -> None:
        """Create an empty queue for as many connections as the limits allow."""
        self.flushing = False
        self._limits = limits
        self._max_operations = limits.held_operations
        self._max_bytes = limits.held_bytes
        self._max_memory = limits.held_memory
        self._wake = wake
        self._sends_partial_requests = False
        self._pools: dict[Endpoint, Pool] = {}
        """The pools that are not empty."""
        self._in_flight: dict[int, Sequence[QueuedOperation]] = {}
        """The request of each busy connection."""
        self._idle = dict.fromkeys(range(limits.concurrency))
        """The connections that wait to be woken."""
        self._is_waking = False
        """Whether a connection was woken and has not come yet."""
        self._links = IdentityLinks()
        self._linked = self._links.parents
        self._last_by_key: dict[str, QueuedOperation] = {}
        """The last unfinished operation of each key."""
        self._sharing: dict[str, dict[int, QueuedOperation]] = {}
        """The unfinished operations that share a key, since the last of its own."""
        self._unfinished: dict[int, None] = {}
        """The sequence numbers of unfinished operations, in order."""
        self._now = 0.0
        self._next_sequence = 0
        self._held_bytes = 0
        self._held_memory = 0

    @property
    def held_operations(self) -> int:
        """Number of operations that are queued or in flight."""
        return len(self._unfinished)

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
        return next(iter(self._unfinished), self._next_sequence)

    @property
    def room(self) -> int:
        """Number of operations that fit in, if no record is larger than they may be."""
        largest = self._limits.operation_bytes
        return min(
            self._max_operations - self.held_operations,
            (self._max_bytes - self._held_bytes) // largest,
            max(0, self._max_memory - self._held_memory) // (3 * largest),
        )

    def has_room(self, operation: QueuedOperation) -> bool:
        """Whether an operation fits in; an empty queue takes any operation."""
        held = len(self._unfinished)
        return held == 0 or (
            held < self._max_operations
            and self._held_bytes + len(operation.body) <= self._max_bytes
            and self._held_memory + operation.memory <= self._max_memory
        )

    def put(self, operations: Sequence[QueuedOperation], now: float) -> None:
        """Add the next operations of the run, in order.

        Args:
            operations: The operations.
            now: The current time, in monotonic seconds.
        """
        self._now = now
        unfinished, linked = self._unfinished, self._linked
        last_by_key, pools = self._last_by_key, self._pools
        sequence = self._next_sequence
        for operation in operations:
            operation.sequence = sequence
            operation.since = now
            unfinished[sequence] = None
            sequence += 1
            operation.keys = keys = operation.identities
            key = keys[0]
            if len(keys) > 1 or key in linked or operation.shared or self._sharing:
                group = self._group_of(operation)
            else:
                before = last_by_key.get(key)
                last_by_key[key] = operation
                group = None if before is None else before.group or self._group(before)
            if group is None:
                endpoint = operation.endpoint
                pool = pools.get(endpoint) or self._new_pool(endpoint)
                pool.entries.append(operation)
                pool.count += 1
                pool.size += len(operation.body) + 1
            else:
                group.append(operation)
        self._next_sequence = sequence
        self._held_bytes += sum(map(len, map(_body, operations)))
        self._held_memory += sum(map(_memory, operations))
        if self._idle and any(pool.is_full for pool in pools.values()):
            self._wake_one()

    def _group(self, operation: QueuedOperation) -> Group:
        """Return the group of an unfinished operation; it gets one if it has none."""
        if operation.group is not None:
            return operation.group  # type: ignore[no-any-return]
        pool = None if operation.is_sent else self._pools[operation.endpoint]
        return Group.of(operation, pool)

    def take(self, index: int, now: float) -> Sequence[QueuedOperation] | None:
        """Take the operations that a connection sends now in one request, in order.

        They are in flight until :meth:`finish`. None if the connection has to wait.
        """
        self._now = now
        self._is_waking = False
        if index in self._in_flight:
            return None
        pool = self._next_pool(now)
        if pool is None:
            self._idle[index] = None
            return None
        self._idle.pop(index, None)
        operations = self._in_flight[index] = pool.take()
        if not pool.count:
            del self._pools[pool.endpoint]
        if self._pools:
            self._wake_one()  # to send the next request, or wait until it is due
        return operations

    def next_check(self, index: int, now: float) -> float | None:
        """Time at which a connection has to check again; None if it will be woken."""
        if index in self._in_flight or not self._pools:
            return None
        due = min(each.next.since for each in self._pools.values())
        due += self._limits.flush_interval_seconds
        return due if due > now else None

    def finish(self, index: int) -> None:
        """Count the operations that a connection has in flight as finished."""
        self._sends_partial_requests = False
        self._release(self._in_flight.pop(index, ()))

    def flush(self) -> None:
        """Send every request without waiting for more operations."""
        self.flushing = True
        self._wake_all()

    def send_partial_requests(self) -> None:
        """Until something is finished, send requests that are not full if need be.

        While the queue is full it takes no more operations to fill them with.
        """
        if not self._sends_partial_requests:
            self._sends_partial_requests = True
            self._wake_all()

    def _wake_one(self) -> None:
        """Wake a connection, unless one that was woken has not come yet.

        It wakes the next one if need be.
        """
        if self._idle and not self._is_waking:
            index, _ = self._idle.popitem()
            self._is_waking = True
            self._wake(index)

    def _wake_all(self) -> None:
        while self._idle:
            self._is_waking = False
            self._wake_one()

    def _add_to_pool(self, group: Group) -> Pool:
        """Let a group be sent that has waiting operations and none in flight."""
        endpoint = group.waiting[0].endpoint
        pool = self._pools.get(endpoint) or self._new_pool(endpoint)
        pool.add(group, self._now)
        return pool

    def _new_pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools[endpoint] = Pool(endpoint, self._limits)
        self._wake_one()  # to wait until it is due
        return pool

    def _next_pool(self, now: float) -> Pool | None:
        """Return the pool to send from: of those that are due, the oldest."""
        enough = self._enough
        pools = self._pools.values()
        due = [each for each in pools if self._is_due(each, now, enough)]
        return min(due, key=_first_sequence) if due[1:] else next(iter(due), None)

    def _is_due(self, pool: Pool, now: float, enough: float) -> bool:
        return (
            self.flushing
            or pool.is_full
            or pool.count >= enough
            or now >= pool.next.since + self._limits.flush_interval_seconds
        )

    @property
    def _enough(self) -> float:
        """Number of operations for a request that is sent although it is not full.

        Usually the end of another request makes room for more. But all connections are
        used if memory is full before each has a full request, or with many endpoints.
        """
        if not self._sends_partial_requests:
            return inf
        held = self.held_operations
        pooled = sum(each.count for each in self._pools.values())
        if not self._in_flight or 2 * pooled >= held:
            return 1
        return held / (2 * self._limits.concurrency)

    def _group_of(self, operation: QueuedOperation) -> Group | None:
        """Return the group that an operation joins, which may join several."""
        if len(operation.keys) > 1 or operation.keys[0] in self._linked:
            operation.keys = self._links.keys(operation)
        found: Group | None = None
        for before in self._before(operation):
            group = self._group(before).whole
            if found is None:
                found = group
            elif found is not group:
                found = self._joined(found, group)
        return found

    def _before(self, operation: QueuedOperation) -> list[QueuedOperation]:
        """Note an operation under its keys; return those that it has to follow."""
        last_by_key, sharing = self._last_by_key, self._sharing
        found: list[QueuedOperation] = []
        for key in operation.keys:
            if (before := last_by_key.get(key)) is not None:
                found.append(before)
            if key in sharing:
                found.extend(sharing.pop(key).values())
            last_by_key[key] = operation
        for key in operation.shared:
            if key in operation.keys:
                continue
            if (before := last_by_key.get(key)) is not None:
                found.append(before)
            if key not in sharing:
                sharing[key] = {}
            sharing[key][operation.sequence] = operation
        return found

    def _joined(self, one: Group, other: Group) -> Group:
        """Join two groups."""
        if one.pool is None or (other.pool is not None and other.age < one.age):
            one, other = other, one
        self._remove_from_pool(other)
        if one.pool is None or other.in_flight:
            self._remove_from_pool(one)
        else:  # it keeps its place
            one.pool.count += other.count
            one.pool.size += other.size
        one.join(other)
        return one

    def _remove_from_pool(self, group: Group) -> None:
        pool = group.pool
        if pool is not None:
            pool.remove(group)
            if not pool.count:
                del self._pools[pool.endpoint]

    def _release(self, operations: Sequence[QueuedOperation]) -> None:
        last_by_key = self._last_by_key
        self._held_bytes -= sum(map(len, map(_body, operations)))
        self._held_memory -= sum(map(_memory, operations))
        for operation in operations:
            del self._unfinished[operation.sequence]
            for key in operation.keys:
                # Everything before the last operation of a key was finished earlier.
                if last_by_key[key] is operation:
                    del last_by_key[key]
            for key in operation.shared:
                self._release_shared(key, operation.sequence)
        ready = _leave_groups(each for each in operations if each.group is not None)
        # Those with many go to the front. The largest comes first in the next request:
        # what does not fit in waits for its end.
        for group in sorted(ready, key=_count):
            self._add_to_pool(group)

    def _release_shared(self, key: str, sequence: int) -> None:
        sharing = self._sharing.get(key)
        if sharing is not None:
            sharing.pop(sequence, None)
            if not sharing:
                del self._sharing[key]


def _leave_groups(operations: Iterable[QueuedOperation]) -> list[Group]:
    """Take finished operations out of their groups; return those that may be sent."""
    ready: list[Group] = []
    for operation in operations:
        group: Group = operation.group
        if group.joined is not None:
            group = group.whole
        operation.group = None
        group.in_flight -= 1
        if not group.in_flight and group.waiting:
            ready.append(group)
    return ready
