"""Counts what a run would do, and makes its plan."""

from __future__ import annotations

from collections import Counter, defaultdict
from threading import Lock
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from target_customerio.delivery import encode_operation
from target_customerio.plan.model import (
    OTHER_ATTRIBUTES,
    OperationPlan,
    Plan,
    RemovalPlan,
    StreamPlan,
    may_be_shown,
)
from target_customerio.records import SourceStream
from target_customerio.results.counters import FIGURES, UNCHANGED, StreamCounts, listed
from target_customerio.snapshot.entry import EXISTS, MERGED, SUPPRESSED
from target_customerio.snapshot.holds import BitSet
from target_customerio.snapshot.missing import Kept
from target_customerio.snapshot.tables import KINDS
from target_customerio.track_api.operations import UPDATE_ONLY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from target_customerio.delivery import QueuedOperation
    from target_customerio.records import Line
    from target_customerio.results.summary import Summary
    from target_customerio.settings import Settings
    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.effects import Ticket
    from target_customerio.snapshot.missing import Removal
    from target_customerio.track_api.operations import Operation

WITH_ATTRIBUTES: Final = frozenset(
    {"person identify", "object identify", "object identify_anonymous"}
)
"""The operations whose attributes are counted."""

MAX_NAMES: Final = 1_000
"""Maximum attributes of an operation that are counted by name."""


class _Counts:
    """What becomes of the records of a stream that give one operation."""

    def __init__(self) -> None:
        self.created = BitSet()
        self.changed = BitSet()
        self.unchanged = BitSet()
        self.sent = 0
        self.attributes: defaultdict[str, BitSet] = defaultdict(BitSet)
        self.attributes_sent: Counter[str] = Counter()

    def plan(self, operation: str) -> OperationPlan:
        """Return the figures."""
        self.changed.difference_update(self.created)
        self.unchanged.difference_update(self.created)
        self.unchanged.difference_update(self.changed)
        counts = self.attributes_sent.copy()
        for name, numbers in self.attributes.items():
            numbers.difference_update(self.created)
            counts[name] += len(numbers)
        del counts[UPDATE_ONLY]
        ordered = sorted((+counts).items(), key=lambda each: (-each[1], each[0]))
        return OperationPlan(
            operation,
            created=len(self.created),
            changed=len(self.changed),
            unchanged=len(self.unchanged),
            sent=self.sent,
            attributes=dict(ordered),
        )


class _Expected(Struct):
    """An operation that waits for its answer.

    Attributes:
        names: The names of the attributes that are sent.
        entry: The number of the entry of its person or object; 0 if the operation is
            not compared.
        is_known: Whether the snapshot knows that the person or object exists.
        ticket: What the operation does to the snapshot.
    """

    names: tuple[str, ...]
    entry: int = 0
    is_known: bool = False
    ticket: Ticket | None = None


class PlanCounts:
    """Counts what a run would do, by people and objects instead of records.

    A person of whom a run has several records counts once. So the figures of a plan and
    of the run after it are the same, although answers arrive at different moments. In
    memory, an entry takes one bit for each count and attribute.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self._counts: dict[tuple[str, str], _Counts] = {}
        self._expected: dict[int, _Expected] = {}
        self._existing = BitSet()
        self._deleted = BitSet()
        self._first_number = 0
        self._is_refresh = False
        self._lock = Lock()

    def start(self, first_number: int, *, is_refresh: bool = False) -> None:
        """Prepare for a comparison with a snapshot.

        Args:
            first_number: The number of the first entry that will be new.
            is_refresh: Whether everything is taken as unknown, although it exists.
        """
        self._first_number, self._is_refresh = first_number, is_refresh

    # The reading thread

    def encode(
        self, operation: Operation, stream: SourceStream, line: Line
    ) -> QueuedOperation:
        """Encode an operation that is compared with nothing."""
        queued = encode_operation(operation, stream, line)
        self.expect(queued, operation)
        return queued

    def expect(
        self,
        queued: QueuedOperation,
        operation: Operation,
        decision: Decision | None = None,
    ) -> None:
        """Note an operation that is queued, until its answer.

        Args:
            queued: The queued operation, which the answer names.
            operation: The operation as it would be sent.
            decision: What was decided on it; None without a snapshot.
        """
        expected = _Expected(tuple(_attributes(operation)))
        if decision is not None:
            expected.ticket = decision.ticket
            # Whom a `cio_id` names is unknown, and so is the entry.
            if decision.change != "other":
                expected.entry = decision.entry
                expected.is_known = decision.change == "changed"
        self._expected[id(queued)] = expected

    def leave(self, stream: SourceStream, operation: Operation, entry: int) -> None:
        """Count an entry of which nothing would be sent."""
        with self._lock:
            self._of(stream.title, operation.label).unchanged.add(entry)

    # The threads that send

    def refuse(self, queued: QueuedOperation) -> None:
        """Forget an operation that would be refused or dropped."""
        del self._expected[id(queued)]

    def accept(self, queued: QueuedOperation) -> None:
        """Count an operation that would be sent."""
        expected = self._expected.pop(id(queued))
        stream = queued.stream
        assert isinstance(stream, SourceStream)  # noqa: S101 - the pipeline's
        with self._lock:
            counts = self._of(stream.title, queued.label)
            if expected.entry:
                self._compare(counts, expected)
            else:
                known = counts.attributes_sent
                counts.sent += 1
                known.update({_shown(each, known) for each in expected.names})
            if expected.ticket is not None:
                self._learn(expected.ticket)

    def _compare(self, counts: _Counts, expected: _Expected) -> None:
        """Count an operation as creating or changing its person or object."""
        names, number = expected.names, expected.entry
        is_known = expected.is_known or self._is_refresh
        existed = number < self._first_number and is_known
        exists = number in self._existing or (existed and number not in self._deleted)
        # An identify that only updates creates no person.
        if exists or UPDATE_ONLY in names:
            counts.changed.add(number)
        else:
            counts.created.add(number)
            self._existing.add(number)
        for name in names:
            counts.attributes[_shown(name, counts.attributes)].add(number)

    def _learn(self, ticket: Ticket) -> None:
        """Note what exists after an operation, and what does not."""
        for effect in ticket.effects:
            if effect.drops or effect.gained & (MERGED | SUPPRESSED):
                self._existing.discard(effect.entry.number)
                self._deleted.add(effect.entry.number)
            elif effect.gained & EXISTS:
                self._existing.add(effect.entry.number)

    def _of(self, stream: str, operation: str) -> _Counts:
        counts = self._counts.get((stream, operation))
        if counts is None:
            counts = self._counts[stream, operation] = _Counts()
        return counts

    # The end

    def plan(
        self,
        settings: Settings,
        summary: Summary,
        removals: Sequence[Removal] = (),
    ) -> Plan:
        """Return the plan, once the whole input is counted.

        Args:
            settings: The settings.
            summary: The counters of the run.
            removals: What would be removed afterwards, by stream and source.
        """
        by_stream: defaultdict[str, list[Removal]] = defaultdict(list)
        for removal in removals:
            by_stream[removal.stream.name].append(removal)
        counts_of = dict.fromkeys(by_stream, StreamCounts()) | summary.streams
        operations: defaultdict[str, list[OperationPlan]] = defaultdict(list)
        for (stream, operation), counts in sorted(self._counts.items()):
            operations[stream].append(counts.plan(operation))
        return Plan(
            settings.connection.destination,
            settings.snapshot,
            tuple(
                StreamPlan(
                    stream,
                    counts.read,
                    tuple(operations[stream]),
                    {
                        reason: count
                        for reason, count in counts.skipped.items()
                        if reason != UNCHANGED
                    },
                    dict(counts.rejected),
                    removal_plan(by_stream[stream]) if by_stream[stream] else None,
                )
                for stream, counts in sorted(counts_of.items())
            ),
            {figure.name: summary.figures[figure.name] for figure in FIGURES},
        )


def removal_plan(removals: Sequence[Removal]) -> RemovalPlan:
    """Return what the removal of a stream, from its sources, would do."""
    removed: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    kept = Kept()
    for removal in removals:
        for kind, missing in removal.kinds.items():
            if removal.refusal:
                refused[KINDS[kind]] += len(missing.to_remove)
            else:
                removed[KINDS[kind]] += len(missing.to_remove)
                kept.add(missing.kept)
    refusals = [each.refusal for each in removals if each.refusal]
    return RemovalPlan(
        dict(removed),
        kept.total,
        "; ".join(refusals),
        tuple(why_kept(kept)),
        dict(refused),
    )


def why_kept(kept: Kept) -> Iterator[str]:
    """Yield a text for each reason why missing entries are kept."""
    if kept.update_only:
        yield f"{kept.update_only:,} of an update_only stream"
    if kept.held:
        yield f"{kept.held:,} held by {listed(sorted(kept.holders))}"
    if kept.unremovable:
        yield f"{kept.unremovable:,} without id or e-mail address, merged or suppressed"


def _attributes(operation: Operation) -> Collection[str]:
    """Return the names of the attributes that an operation gives its entry."""
    if operation.label not in WITH_ATTRIBUTES:
        return ()
    names: Collection[str] = getattr(operation, "attributes", ())
    return names


def _shown(name: str, known: Collection[str]) -> str:
    """Return a name, or OTHER_ATTRIBUTES for a likely value or beyond the maximum."""
    if name in known or (len(known) < MAX_NAMES and may_be_shown(name)):
        return name
    return OTHER_ATTRIBUTES
