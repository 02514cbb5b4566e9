"""Which operations may share a request, and which request may go out now."""

from __future__ import annotations

from collections import OrderedDict
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from target_customerio.delivery.lane import Draft, Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from target_customerio.delivery.lane import QueuedOperation
    from target_customerio.track_api.endpoints import Limits, Route


_sequence: Final = attrgetter("sequence")


class Lanes:
    """Operations in the order of their people and objects, spread over lanes.

    Each lane has at most one request in flight and sends its operations in the order
    in which they came. Every key with unfinished operations is owned by one lane, and
    a new operation joins the lane that owns its keys, behind everything that concerns
    the same people and objects. Where several lanes own its keys, it joins the one
    with the latest of these operations and is given a gate for each other: it is not
    sent before that lane has finished up to a sequence number. So of two operations
    that share a key the later is never sent before the earlier one is finished, unless
    both are in one request, in order.

    Nothing waits for ever. A gate names an earlier operation than the one that it
    keeps back. Take the smallest unfinished sequence number: it stands at the front
    of its lane, and every gate of its operation is open, because all that is smaller is
    finished. Either it is in flight, or it will be sent when it has lingered, at the
    latest.

    A lane sends a request that is full, that has lingered, that another lane waits for,
    that stands before others when there is no room for more (:meth:`press`), and any
    when everything is to go out (:attr:`flushing`). One that is merely full is not cut
    short at a closed gate: rather the lane that holds it up is asked to hurry.

    There are no threads and no clock in here. ``wake`` is called with a lane's number
    whenever :meth:`take` or :meth:`look_again_at` may have a new answer for it.
    """

    def __init__(self, limits: Limits, wake: Callable[[int], None]) -> None:
        """Open as many empty lanes as there may be requests in flight.

        Args:
            limits: What requests and lanes have to keep to.
            wake: Told the number of a lane that has to be looked at.
        """
        self.flushing = False
        self._limits = limits
        self._most_operations = limits.held_operations
        self._most_bytes = limits.held_bytes
        self._most_origin_bytes = limits.held_origin_bytes
        self._wake = wake
        self._lanes = [Lane(index) for index in range(limits.concurrency)]
        self._pressed = False
        self._filling: dict[Route, Draft] = {}
        self._ties = TieMemory()
        self._tied = self._ties.tied
        self._holdings: dict[str, QueuedOperation] = {}
        """The last unfinished operation under each key."""
        self._next_sequence = 0
        self._finished = 0
        self._held_bytes = 0
        self._held_origin_bytes = 0

    @property
    def held_operations(self) -> int:
        """The operations that are queued or in flight."""
        return self._next_sequence - self._finished

    @property
    def held_bytes(self) -> int:
        """Their bytes."""
        return self._held_bytes

    @property
    def next_sequence(self) -> int:
        """The sequence number of the operation that will come next."""
        return self._next_sequence

    @property
    def low_watermark(self) -> int:
        """The smallest sequence number that is not finished."""
        return min(self._next_sequence, *(lane.oldest for lane in self._lanes))

    @property
    def room(self) -> int:
        """How many operations of any size there is room for."""
        if self._held_origin_bytes >= self._most_origin_bytes:
            return 0
        operations = self._most_operations - self.held_operations
        return min(
            operations,
            (self._most_bytes - self._held_bytes) // self._limits.operation_bytes,
        )

    def has_room(self, operation: QueuedOperation) -> bool:
        """Tell whether an operation may be put without holding too much.

        Args:
            operation: The operation.

        Returns:
            Whether it has room; a single one always has.
        """
        held = self._next_sequence - self._finished
        return held == 0 or (
            held < self._most_operations
            and self._held_bytes + len(operation.body) <= self._most_bytes
            and self._held_origin_bytes < self._most_origin_bytes
        )

    def put(self, operation: QueuedOperation, now: float) -> None:
        """Give an operation its sequence number and its place.

        Args:
            operation: The next operation of the run.
            now: The current time.
        """
        operation.sequence = sequence = self._next_sequence
        self._next_sequence = sequence + 1
        self._held_bytes += len(operation.body)
        if operation.origin_bytes:
            self._held_origin_bytes += operation.origin_bytes
        keys = operation.identities
        if len(keys) > 1 or keys[0] in self._tied:
            keys = self._ties.keys(operation)
        operation.keys = keys
        holdings = self._holdings
        earlier: tuple[QueuedOperation, ...] = ()
        for key in keys:
            before = holdings.get(key)
            if before is not None:
                earlier += (before,)
            holdings[key] = operation
        if earlier:
            draft = self._line_up(earlier, operation, now)
        else:  # it may join any request with room
            filling = self._filling.get(operation.route)
            if filling is not None and filling.add(operation):
                draft = filling
            else:
                draft = self._fill_another(filling, operation, now)
        lane = draft.lane
        operation.lane = index = lane.index
        begun = draft.operations[0] is operation
        if lane.in_flight is None and (begun or draft.sealed):
            self._wake(index)

    def take(self, index: int, now: float) -> Sequence[QueuedOperation] | None:
        """Take the operations that a lane is to send now, in one request.

        They count as in flight until :meth:`finish`.

        Args:
            index: The number of the lane.
            now: The current time.

        Returns:
            The operations in order, or ``None`` when it has to wait.
        """
        lane = self._lanes[index]
        if lane.in_flight is not None or not lane.drafts:
            return None
        draft = lane.drafts[0]
        hurried = self._hurried(lane, draft, now)
        if not hurried and not draft.sealed:
            return None
        count = draft.unblocked()
        if count < len(draft.operations):
            self._hurry(lane, draft)
            if count == 0 or not hurried:
                return None
        if self._filling.get(draft.route) is draft:
            del self._filling[draft.route]
        return lane.send(count).operations

    def look_again_at(self, index: int, now: float) -> float | None:
        """Tell when a lane that has nothing to send may have, if nobody wakes it.

        Args:
            index: The number of the lane.
            now: The current time.

        Returns:
            A time, or ``None`` when it can sleep until it is woken.
        """
        lane = self._lanes[index]
        if lane.in_flight is not None or not lane.drafts:
            return None
        lingered = lane.drafts[0].since + self._limits.linger_seconds
        return lingered if lingered > now else None

    def finish(self, index: int) -> None:
        """Count the operations that a lane has in flight as finished.

        Args:
            index: The number of the lane.
        """
        lane = self._lanes[index]
        draft = lane.in_flight
        if draft is None:
            return
        lane.in_flight = None
        self._pressed = False
        self._release(draft.operations)
        self._held_bytes -= draft.operation_bytes
        self._finished += len(draft.operations)
        for other in self._lanes:
            if other.blocked_on is lane:
                other.blocked_on = None
                self._wake(other.index)

    def flush(self) -> None:
        """Send everything without waiting for requests to fill up."""
        self.flushing = True
        self._wake_all()

    def press(self) -> None:
        """Until something is finished, let nothing linger in front of other requests.

        Else requests of rare routes could keep full ones waiting while nothing more is
        taken in.
        """
        if not self._pressed:
            self._pressed = True
            self._wake_all()

    def _wake_all(self) -> None:
        for lane in self._lanes:
            self._wake(lane.index)

    def _fill_another(
        self, filled: Draft | None, operation: QueuedOperation, now: float
    ) -> Draft:
        """Fill another request, now that one has a request's worth."""
        if filled is not None and not filled.sealed:
            filled.sealed = True
            self._wake(filled.lane.index)
        lane = min(self._lanes, key=lambda each: each.load)
        self._filling[operation.route] = draft = self._append(lane, operation, now)
        return draft

    def _line_up(
        self, earlier: Sequence[QueuedOperation], operation: QueuedOperation, now: float
    ) -> Draft:
        """Have an operation come after all that it has to follow.

        It goes to the end of the lane of the latest of them, so that requests stay in
        the order of their first operations, and those parted at a gate do too.
        """
        latest = max(earlier, key=_sequence) if earlier[1:] else earlier[0]
        draft = self._append(self._lanes[latest.lane], operation, now)
        for each in earlier:
            if each.lane != latest.lane:
                draft.hold_last_until(self._lanes[each.lane], each.sequence)
        return draft

    def _append(self, lane: Lane, operation: QueuedOperation, now: float) -> Draft:
        """Add an operation at the end of a lane."""
        last = lane.last
        if last is not None:
            same_route = last.route == operation.route
            if same_route and last.add(operation):
                return last
            # It can go, unless what nothing comes before is still being added to it.
            if same_route or last is not self._filling.get(last.route):
                last.sealed = True
        draft = Draft(lane, operation, now, self._limits)
        lane.drafts.append(draft)
        return draft

    def _hurried(self, lane: Lane, draft: Draft, now: float) -> bool:
        return (
            self.flushing
            or (self._pressed and len(lane.drafts) > 1)
            or draft.first <= lane.urgent_until
            or now >= draft.since + self._limits.linger_seconds
        )

    def _hurry(self, lane: Lane, draft: Draft) -> None:
        """Ask the lane behind a draft's first gate, which is closed, to hurry."""
        _, other, sequence = draft.gates[0]
        lane.blocked_on = other
        if other.urgent_until < sequence:
            other.urgent_until = sequence
            self._wake(other.index)

    def _release(self, operations: Iterable[QueuedOperation]) -> None:
        holdings = self._holdings
        for operation in operations:
            if operation.origin_bytes:
                self._held_origin_bytes -= operation.origin_bytes
            for key in operation.keys:
                # Whatever came before the last under a key was finished before it.
                if holdings[key] is operation:
                    del holdings[key]


class TieMemory:
    """Says by which keys an operation has to be ordered.

    An identify that names an ``id`` and an ``email``, or a merge, makes two identities
    one person: from then on an operation on either has to keep its place among the
    operations on both. Each person so found has one identity that stands for all of
    them, and the keys of an operation are the identities that it names plus those
    that stand for them.

    What holds: two operations that name a common identity always share a key. Two
    that name different identities of one person share a key when the operation that
    tied these lies before both, as long as the tie is remembered. Where it lies between
    them, it shares a key with each and so keeps them apart. Only the most recently used
    ties are remembered; to forget one can lose the extra key, never the identity.

    The memory is a forest in which each identity points towards the one that stands
    for it. Only a root is ever made to point, and only to another root, so that there
    are no circles, and to forget an entry merely makes a root of it.
    """

    def __init__(self, capacity: int = 50_000) -> None:
        """Remember nothing yet.

        Args:
            capacity: Most identities that are remembered.
        """
        self._capacity = capacity
        self._towards: OrderedDict[str, str] = OrderedDict()
        self.tied: Mapping[str, str] = self._towards
        """The identities for which another stands."""

    def keys(self, operation: QueuedOperation) -> tuple[str, ...]:
        """Name the keys of an operation, and remember what it ties together.

        Args:
            operation: The next operation of the run.

        Returns:
            Its identities, and those that stood for them until now. Of what it ties,
            which is among its identities, one of these stands for all from now on.
        """
        identities = operation.identities
        keys = dict.fromkeys(identities)
        for identity in identities:
            keys[self._standing_for(identity)] = None
        for other in operation.ties[1:]:
            self._tie(operation.ties[0], other)
        self._forget()
        return tuple(keys)

    def __len__(self) -> int:
        """Count the identities that point to another."""
        return len(self._towards)

    def _tie(self, one: str, other: str) -> None:
        stands, falls = self._standing_for(one), self._standing_for(other)
        if stands != falls:
            self._towards[falls] = stands

    def _standing_for(self, identity: str) -> str:
        towards = self._towards
        root = identity
        while root in towards:
            root = towards[root]
        while identity != root:  # next time it is one step
            following = towards[identity]
            towards[identity] = root
            towards.move_to_end(identity)
            identity = following
        return root

    def _forget(self) -> None:
        while len(self._towards) > self._capacity:
            self._towards.popitem(last=False)
