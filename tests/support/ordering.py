"""Which operations have to keep their order, and whether their keys see to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.changes import ordering_by_decision
from target_customerio.delivery.identity_links import IdentityLinks
from target_customerio.delivery.queued_operation import QueuedOperation, ordering_of
from target_customerio.track_api.endpoints import BATCH
from target_customerio.track_api.operations import PersonIdentify

if TYPE_CHECKING:
    from target_customerio.delivery.queued_operation import Ordering
    from target_customerio.snapshot.comparison import Decision
    from target_customerio.track_api.operations import Operation


def need_order(one: QueuedOperation, other: QueuedOperation) -> bool:
    """Whether two operations have a common key that at least one has for itself."""
    mine, others = {*one.keys}, {*other.keys}
    return not (
        mine.isdisjoint(others)
        and mine.isdisjoint(other.shared)
        and others.isdisjoint(one.shared)
    )


class Order:
    """The order of a run, without a snapshot and with one.

    Two operations have to keep their order if they name the same person, or what an
    identify names that is between them or before them. That holds whether the identify
    is sent or not.
    """

    def __init__(self) -> None:
        self._plain = IdentityLinks()
        self._links = IdentityLinks()
        self._people: list[set[str]] = []
        self._required: list[set[int]] = []
        self._kept: list[set[int]] = []
        self._sent: dict[int, QueuedOperation] = {}
        self._operations: list[Operation] = []

    def add(self, operation: Operation, decision: Decision) -> QueuedOperation | None:
        """Add the next operation of the run; return what is queued of it."""
        number = len(self._operations)
        self._operations.append(operation)
        alone = _queued(ordering_of(operation), self._plain)
        people = {each for each in alone.keys if not each.startswith("object:")}
        required: set[int] = set()
        for before, others in enumerate(self._people):
            if people.isdisjoint(others):
                continue
            required.add(before)
            if before not in self._sent and isinstance(
                self._operations[before], PersonIdentify
            ):
                required |= self._required[before]
        self._people.append(people)
        self._required.append(required)
        self._kept.append(set())
        if decision.operation is None:
            return None
        queued = _queued(ordering_by_decision(operation, decision), self._links)
        for before, other in self._sent.items():
            if need_order(other, queued):
                self._kept[number] |= {before} | self._kept[before]
        self._sent[number] = queued
        lost = (required & self._sent.keys()) - self._kept[number]
        assert not lost, (
            f"{operation} may overtake {[self._operations[each] for each in lost]}"
        )
        return queued


def _queued(ordering: Ordering, links: IdentityLinks) -> QueuedOperation:
    identities, linked, shared = ordering
    queued = QueuedOperation("s", "l", b"", identities, linked, BATCH, None)
    queued.shared = shared
    queued.keys = links.keys(queued)
    return queued
