"""Operations that may be sent now, alone or in groups that share keys."""

from __future__ import annotations

import sys
from collections import deque
from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Final, final

from msgspec import Struct

if TYPE_CHECKING:
    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.track_api.endpoints import Endpoint, Limits


_OVERTAKING_SECONDS: Final = 10.0
"""How long a group with many operations may go before one that waits."""

_sequence: Final = attrgetter("sequence")


@final
class Group(Struct, eq=False, gc=False):
    """Unfinished operations that are connected by common keys.

    While some are in flight, the others wait for all of them.

    Attributes:
        waiting: The operations that wait; those with a common key are in order.
        size: Bytes of the operations that wait, each with a comma.
        in_flight: Number of operations in flight.
        pool: Where the group waits to be sent; None while it has operations in flight.
        since: When the group was added to its pool, in monotonic seconds.
        joined: The group that this one has become part of.
    """

    waiting: list[QueuedOperation]
    size: int = 0
    in_flight: int = 0
    pool: Pool | None = None
    since: float = 0.0
    joined: Group | None = None

    @classmethod
    def of(cls, operation: QueuedOperation, pool: Pool | None) -> Group:
        """Create the group of an operation, which waits in a pool or is in flight."""
        if pool is None:
            group = cls([], in_flight=1)
        else:  # it keeps its place
            size = len(operation.body) + 1
            group = cls([operation], size, 0, pool, operation.since)
        operation.group = group
        return group

    @property
    def whole(self) -> Group:
        """The group that this one is part of, or itself."""
        group = self
        while group.joined is not None:
            if group.joined.joined is not None:
                group.joined = group.joined.joined  # shortens the path
            group = group.joined
        return group

    @property
    def count(self) -> int:
        """Number of operations that wait."""
        return len(self.waiting)

    @property
    def first_sequence(self) -> int:
        """Sequence number of the first operation that waits; -1 without one."""
        return self.waiting[0].sequence if self.waiting else -1

    @property
    def age(self) -> tuple[float, int]:
        """What the groups of a pool are compared by."""
        return self.since, self.first_sequence

    def append(self, operation: QueuedOperation) -> None:
        """Add an operation at the end.

        It adjusts the pool too, to save calls for people with many operations.
        """
        group = self if self.joined is None else self.whole
        operation.group = group
        size = len(operation.body) + 1
        group.waiting.append(operation)
        group.size += size
        pool = group.pool
        if pool is not None:
            pool.count += 1
            pool.size += size

    def join(self, other: Group) -> None:
        """Add the operations of another group.

        They may follow those of this one, whatever their sequence numbers: until now
        they had no key in common.
        """
        self.waiting += other.waiting
        self.size += other.size
        self.in_flight += other.in_flight
        other.waiting = []
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
            if type(entry) is Group:
                if entry.pool is self:
                    return entry
            elif entry.is_sent:
                pass
            elif entry.group is None:
                return entry
            elif entry.group.whole.pool is self:  # has got a group, in its place
                return entry.group.whole  # type: ignore[no-any-return]
            entries.popleft()

    @property
    def first_sequence(self) -> int:
        """Sequence number of the operation that is sent next."""
        entry = self.next
        return entry.first_sequence if type(entry) is Group else entry.sequence

    def add(self, group: Group, now: float) -> None:
        """Add a group that has waiting operations and none in flight.

        If it has many it goes first, since no other connection could send them
        meanwhile; but not for ever, or STATE would wait for what it overtakes.
        """
        first = self.next.since if self.count and group.count >= self.many else -inf
        group.pool = self
        if now - first < _OVERTAKING_SECONDS:
            group.since = first
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
        entries, most = self.entries, self.max_operations
        taken: list[QueuedOperation] = []
        room = self.max_bytes
        has_groups = False
        alone = bytes_alone = 0
        while entries and len(taken) < most and room >= 0:
            entry = entries[0]
            # Not isinstance, which is slow for a Struct.
            if type(entry) is Group or entry.group is not None:
                has_groups = True
                room = self._take_group(entry, room, taken)
                continue
            if not entry.is_sent:
                size = len(entry.body) + 1
                if size > room and taken:
                    break
                room -= size
                alone += 1
                bytes_alone += size
                entry.is_sent = True
                taken.append(entry)
            entries.popleft()
        self.count -= alone
        self.size -= bytes_alone
        if has_groups:
            taken.sort(key=_sequence)
        return taken

    def _take_group(
        self, entry: QueuedOperation | Group, room: int, taken: list[QueuedOperation]
    ) -> int:
        """Take what fits of the group at the front; returns the bytes left.

        -1 if something does not fit. All in one function, since a busy person's
        operations come here one at a time.
        """
        group: Group = entry if type(entry) is Group else entry.group.whole
        waiting = group.waiting
        if group.pool is not self or not waiting:
            self.entries.popleft()
            return room
        if taken and len(waiting[0].body) >= room:
            return -1
        self.entries.popleft()
        self.remove(group)
        most, endpoint = self.max_operations, self.endpoint
        count_before, room_before = len(taken), room
        is_full = False
        for operation in waiting:
            if operation.endpoint != endpoint:
                break
            size = len(operation.body) + 1
            is_full = len(taken) == most or (size > room and bool(taken))
            if is_full:
                break
            room -= size
            operation.is_sent = True
            taken.append(operation)
        count = len(taken) - count_before
        del waiting[:count]
        group.in_flight += count
        group.size -= room_before - room
        return -1 if is_full else max(room, 0)
