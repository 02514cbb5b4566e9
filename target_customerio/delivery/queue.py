"""Queue that keeps the order of operations and fills requests."""

from __future__ import annotations

import sys
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from target_customerio.delivery.identity_links import IdentityLinks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.delivery.request import QueuedOperation
    from target_customerio.track_api.endpoints import Endpoint, Limits


_sequence: Final = attrgetter("sequence")
_memory: Final = attrgetter("memory")


class Group:
    """Unfinished operations that are connected by common keys.

    Those that wait are a linked list; operations with a common key are in it in order.
    While some are in flight, the others wait for all of them.
    """

    __slots__ = (
        "count",
        "first",
        "in_flight",
        "joined",
        "last",
        "pool",
        "since",
        "size",
    )

    def __init__(self, operation: QueuedOperation, pool: Pool | None) -> None:
        """Create the group of an operation, which waits in a pool or is in flight."""
        self.first: QueuedOperation | None = None
        """The first operation that waits."""
        self.last: QueuedOperation | None = None
        self.count = 0
        """Number of operations that wait."""
        self.size = 0
        """Bytes of the operations that wait, each with a comma."""
        self.in_flight = 0
        """Number of operations in flight."""
        self.pool = pool
        """Where the group waits to be sent; None while it has operations in flight."""
        self.since = operation.since
        """When the group was added to its pool."""
        self.joined: Group | None = None
        """The group that this one has become part of."""
        operation.group = self
        if pool is None:
            self.in_flight = 1
        else:
            self.append(operation)

    @property
    def whole(self) -> Group:
        """The group that this one is part of, or itself."""
        group = self
        while group.joined is not None:
            if group.joined.joined is not None:
                group.joined = group.joined.joined  # shortens the path
            group = group.joined
        return group

    def append(self, operation: QueuedOperation) -> None:
        """Add an operation at the end."""
        operation.group = self
        if self.last is None:
            self.first = operation
        else:
            self.last.next = operation
        self.last = operation
        self.count += 1
        self.size += len(operation.body) + 1

    def join(self, other: Group) -> None:
        """Add the operations of another group.

        They may follow those of this one, whatever their sequence numbers: until now
        they had no key in common.
        """
        if self.last is None:
            self.first = other.first
        else:
            self.last.next = other.first
        self.last = other.last or self.last
        self.count += other.count
        self.size += other.size
        self.in_flight += other.in_flight
        other.first = other.last = None
        other.joined = self


class Pool:
    """Operations that may be sent now to one endpoint: alone or in groups."""

    __slots__ = (
        "count",
        "endpoint",
        "entries",
        "many",
        "max_bytes",
        "max_operations",
        "size",
    )

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        """Create an empty pool."""
        self.endpoint = endpoint
        self.max_operations = min(
            endpoint.max_operations or sys.maxsize, limits.batch_operations
        )
        self.many = max(2, self.max_operations // 20)
        """Operations of one group with which it goes before others."""
        self.max_bytes = limits.batch_bytes + 1 - endpoint.envelope_bytes
        """Maximum bytes of operations, each with a comma."""
        self.entries: deque[QueuedOperation | Group] = deque()
        """What is sent next comes first. Entries may be out of date."""
        self.count = 0
        """Number of operations."""
        self.size = 0
        """Bytes of the operations, each with a comma."""

    @property
    def is_full(self) -> bool:
        """Whether there are enough operations for a request."""
        return self.count >= self.max_operations or self.size > self.max_bytes

    @property
    def next(self) -> QueuedOperation | Group:
        """What is sent next: an operation without a group, or a group."""
        entries = self.entries
        while True:
            entry = entries[0]
            if isinstance(entry, Group):
                if entry.pool is self:
                    return entry
            elif entry.is_sent:
                pass
            elif entry.group is None:
                return entry
            elif entry.group.whole.pool is self:  # has got a group, in its place
                return entry.group.whole  # type: ignore[no-any-return]
            entries.popleft()

    def add(self, group: Group, now: float) -> None:
        """Add a group that has waiting operations and none in flight.

        If it has many it goes first: no other connection could send them meanwhile.
        """
        group.pool = self
        if self.count and group.count >= self.many:
            group.since = self.next.since
            self.entries.appendleft(group)
        else:
            group.since = now
            self.entries.append(group)
        self.count += group.count
        self.size += group.size

    def remove(self, group: Group) -> None:
        """Remove a group."""
        group.pool = None
        self.count -= group.count
        self.size -= group.size
        if not self.count:
            self.entries.clear()

    def take(self) -> list[QueuedOperation]:
        """Remove the operations of a request, in order."""
        taken: list[QueuedOperation] = []
        room = self.max_bytes
        has_groups = False
        entries, most = self.entries, self.max_operations
        while self.count and len(taken) < most:
            entry = self.next
            if isinstance(entry, Group):
                has_groups = True
                left = self._take_from(entry, room, taken)
                if left < 0:
                    break
                room = left
                continue
            size = len(entry.body) + 1
            if size > room and taken:
                break
            entries.popleft()
            entry.is_sent = True
            taken.append(entry)
            room -= size
            self.count -= 1
            self.size -= size
        if has_groups:
            taken.sort(key=_sequence)
        return taken

    def _take_from(self, group: Group, room: int, taken: list[QueuedOperation]) -> int:
        """Take what fits of a group; returns the bytes left, or -1 for none."""
        operation = group.first
        assert operation is not None  # noqa: S101 - for the type checker
        if taken and len(operation.body) >= room:
            return -1
        self.remove(group)
        is_full = False
        while operation is not None and operation.endpoint == self.endpoint:
            size = len(operation.body) + 1
            is_full = len(taken) == self.max_operations or (size > room and bool(taken))
            if is_full:
                break
            room -= size
            operation.is_sent = True
            taken.append(operation)
            group.in_flight += 1
            group.count -= 1
            group.size -= size
            following, operation.next = operation.next, None
            operation = following
        group.first = operation
        if operation is None:
            group.last = None
        return -1 if is_full else max(room, 0)


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
    flight, or it is sent at the latest when it has waited for ``linger_seconds``.

    A request is sent when it is full, when its oldest group has lingered, or when the
    queue is full and nothing better is to be expected (:meth:`stop_lingering`); during
    :attr:`flushing` any request is sent.

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
        self._no_lingering = False
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

    def put(self, operation: QueuedOperation, now: float) -> None:
        """Add the next operation of the run."""
        self._now = now
        operation.sequence = sequence = self._next_sequence
        self._next_sequence = sequence + 1
        self._unfinished[sequence] = None
        size = len(operation.body)
        self._held_bytes += size
        self._held_memory += operation.memory
        keys = operation.identities
        if len(keys) > 1 or keys[0] in self._linked:
            keys = self._links.keys(operation)
        operation.keys = keys
        operation.since = now
        if len(keys) > 1 or operation.shared or self._sharing:
            group = self._group_of(operation)
        else:
            before = self._last_by_key.get(keys[0])
            self._last_by_key[keys[0]] = operation
            group = None if before is None else self._group(before)
        pool = self._add(operation) if group is None else self._append(group, operation)
        if self._idle and pool is not None and pool.is_full:
            self._wake_one()

    def _add(self, operation: QueuedOperation) -> Pool:
        """Add an operation that is alone with its keys to a pool."""
        pool = self._pools.get(operation.endpoint) or self._new_pool(operation.endpoint)
        pool.entries.append(operation)
        pool.count += 1
        pool.size += len(operation.body) + 1
        return pool

    def _append(self, group: Group, operation: QueuedOperation) -> Pool | None:
        """Append an operation to a group; returns the group's pool, if it has one."""
        group.append(operation)
        pool = group.pool
        if pool is not None:
            pool.count += 1
            pool.size += len(operation.body) + 1
        elif not group.in_flight:
            pool = self._add_to_pool(group)
        return pool

    def _group(self, operation: QueuedOperation) -> Group:
        """Return the group of an unfinished operation; it gets one if it has none."""
        if operation.group is not None:
            return operation.group.whole  # type: ignore[no-any-return]
        pool = None if operation.is_sent else self._pools[operation.endpoint]
        return Group(operation, pool)

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
        due += self._limits.linger_seconds
        return due if due > now else None

    def finish(self, index: int) -> None:
        """Count the operations that a connection has in flight as finished."""
        self._no_lingering = False
        self._release(self._in_flight.pop(index, ()))

    def flush(self) -> None:
        """Send every request without waiting for more operations."""
        self.flushing = True
        self._wake_all()

    def stop_lingering(self) -> None:
        """Until something is finished, send requests that are not full if need be.

        While the queue is full it takes no more operations to fill them with.
        """
        if not self._no_lingering:
            self._no_lingering = True
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
        assert group.first is not None  # noqa: S101 - for the type checker
        endpoint = group.first.endpoint
        pool = self._pools.get(endpoint) or self._new_pool(endpoint)
        pool.add(group, self._now)
        return pool

    def _new_pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools[endpoint] = Pool(endpoint, self._limits)
        self._wake_one()  # to wait until it is due
        return pool

    def _next_pool(self, now: float) -> Pool | None:
        """Return the pool to send from: of those that are due, the oldest."""
        due = [each for each in self._pools.values() if self._is_due(each, now)]
        return min(due, key=_first_sequence) if due[1:] else next(iter(due), None)

    def _is_due(self, pool: Pool, now: float) -> bool:
        return (
            self.flushing
            or pool.is_full
            or now >= pool.next.since + self._limits.linger_seconds
            or (self._no_lingering and self._is_best(pool))
        )

    def _is_best(self, pool: Pool) -> bool:
        """Tell whether a request that is not full is sent while the queue is full.

        Usually the end of another request makes room for more. But all connections
        are used where the limit of memory is reached before there is a full request for
        each, or where the operations are of many endpoints.
        """
        held = self.held_operations
        pooled = sum(each.count for each in self._pools.values())
        return (
            not self._in_flight
            or 2 * pooled >= held
            or 2 * pool.count * self._limits.concurrency >= held
        )

    def _group_of(self, operation: QueuedOperation) -> Group | None:
        """Return the group that an operation joins, which may join several."""
        found: Group | None = None
        for before in self._before(operation):
            group = self._group(before)
            if found is None:
                found = group
            elif found is not group:
                found = self._joined(found, group)
        return found

    def _before(self, operation: QueuedOperation) -> list[QueuedOperation]:
        """Note an operation under its keys; return those that it has to follow."""
        found: list[QueuedOperation | None] = []
        for key in operation.keys:
            found.append(self._last_by_key.get(key))
            found.extend(self._sharing.pop(key, {}).values())
            self._last_by_key[key] = operation
        for key in operation.shared:
            if key in operation.keys:
                continue
            found.append(self._last_by_key.get(key))
            self._sharing.setdefault(key, {})[operation.sequence] = operation
        return [each for each in found if each is not None]

    def _joined(self, one: Group, other: Group) -> Group:
        """Join two groups."""
        if one.pool is None or (other.pool is not None and _age(other) < _age(one)):
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
        self._held_memory -= sum(map(_memory, operations))
        for operation in operations:
            del self._unfinished[operation.sequence]
            if operation.group is not None:
                self._leave_group(operation)
            self._held_bytes -= len(operation.body)
            for key in operation.keys:
                # Everything before the last operation of a key was finished earlier.
                if last_by_key[key] is operation:
                    del last_by_key[key]
            for key in operation.shared:
                self._release_shared(key, operation.sequence)

    def _leave_group(self, operation: QueuedOperation) -> None:
        group: Group = operation.group.whole
        operation.group = None
        group.in_flight -= 1
        if not group.in_flight and group.first is not None:
            self._add_to_pool(group)

    def _release_shared(self, key: str, sequence: int) -> None:
        sharing = self._sharing.get(key)
        if sharing is not None:
            sharing.pop(sequence, None)
            if not sharing:
                del self._sharing[key]


def _age(group: Group) -> tuple[float, int]:
    first = group.first
    return group.since, -1 if first is None else first.sequence


def _first_sequence(pool: Pool) -> int:
    entry = pool.next
    first = entry.first if isinstance(entry, Group) else entry
    return -1 if first is None else first.sequence
