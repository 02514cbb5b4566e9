"""The snapshot in a run, between its pipeline and its delivery."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from target_customerio.delivery import encode_operation
from target_customerio.delivery.queued_operation import ordering_by, ordering_of
from target_customerio.delivery.sender import UNDELIVERABLE
from target_customerio.errors import RejectedRecord, SnapshotError
from target_customerio.mapping.fields import BY_TYPE
from target_customerio.results.advice import nothing_left
from target_customerio.snapshot.bookmarks import Bookmarks
from target_customerio.snapshot.decisions import is_unicode, names_alone
from target_customerio.snapshot.effects import Ticket
from target_customerio.snapshot.missing import KINDS_OF_CALLS, Candidate
from target_customerio.snapshot.removal import RemovalFinder
from target_customerio.snapshot.snapshot import Snapshot
from target_customerio.snapshot.tables import KINDS
from target_customerio.track_api.operations import ObjectDeleteRelationships

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_customerio.delivery import QueuedOperation, RequestStatistics
    from target_customerio.delivery.queued_operation import Ordering
    from target_customerio.delivery.sender import Result
    from target_customerio.delivery.worker import Sends
    from target_customerio.plan.counts import PlanCounts
    from target_customerio.records import Line, SourceStream
    from target_customerio.settings.stream_calls import StreamCalls, StreamRule
    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.missing import Removal
    from target_customerio.snapshot.streams import Stream
    from target_customerio.track_api.operations import Operation


HOLDING: Final = frozenset({*KINDS_OF_CALLS, BY_TYPE})
"""The calls of streams that hold what their records name; events hold nothing."""

TICKET_MEMORY: Final = 1_000
ATTRIBUTE_MEMORY: Final = 150
"""Approximate memory of a ticket, and of each attribute in it, in bytes."""


class Changes:
    """Compares the operations of a run with its snapshot.

    The reading thread calls all methods; the threads that send requests use
    :class:`RememberingSender`.
    """

    def __init__(
        self, path: str, *, refresh: bool, counts: PlanCounts | None = None
    ) -> None:
        """Do not open the file yet, see :meth:`open`.

        Args:
            path: The snapshot.
            refresh: Whether to make everything in the snapshot unknown.
            counts: The counts of a plan, which works on a copy of the file; None
                without a plan.
        """
        self._path = path
        self._refresh = refresh
        self._counts = counts
        self._snapshot: Snapshot | None = None
        self._streams: dict[tuple[str, str], Stream] = {}
        self._mixed: set[tuple[str, str]] = set()
        self._removing: set[tuple[str, str]] = set()
        self._decided: deque[Decision] = deque()
        self._bookmarks = Bookmarks()

    @property
    def snapshot(self) -> Snapshot:
        """The open snapshot."""
        if self._snapshot is None:
            raise SnapshotError("snapshot: the run has not started")
        return self._snapshot

    def open(self) -> None:
        """Open or create the file.

        Raises:
            SnapshotError: The file cannot be used, or another run uses it.
        """
        counts = self._counts
        self._snapshot = Snapshot(self._path, as_copy=counts is not None)
        if counts is not None:
            counts.start(self._snapshot.next_number, is_refresh=self._refresh)

    def sender(self, sender: Sends) -> RememberingSender:
        """Return a sender that writes to the snapshot what another one sends."""
        return RememberingSender(sender, self)

    def bind(self, workspace: str) -> None:
        """Bind the snapshot to a workspace, or check that it is bound to this one.

        Args:
            workspace: Its ``environment_id``, or the id inside a sandbox file.

        Raises:
            SnapshotError: The snapshot belongs to another workspace.
        """
        self.snapshot.bind(workspace)
        if self._refresh:
            self.snapshot.refresh()

    def begin(self, source: SourceStream, rule: StreamRule) -> None:
        """Start the records of a stream, once, if it holds what they name.

        Args:
            source: The stream.
            rule: Its call and settings.
        """
        key = source.title, source.name
        if rule.call not in HOLDING or key in self._streams:
            return
        if rule.call == BY_TYPE:
            self._mixed.add(key)
        if rule.asks_for_removal:
            self._removing.add(key)
        self._streams[key] = self.snapshot.begin(
            *key, rule.call, update_only=rule.conversion.update_only
        )

    def holds(self, source: SourceStream) -> bool:
        """Tell whether a stream holds what its records name."""
        return (source.title, source.name) in self._streams

    def encoder(
        self, pending: Iterable[tuple[Operation, SourceStream, Line]]
    ) -> Callable[[Operation, SourceStream, Line], QueuedOperation | None]:
        """Decide what to send of the next operations.

        Args:
            pending: The operations with their streams and records, in order.

        Returns:
            A function that encodes what is to be sent of each of them, in order; it
            returns None if Customer.io has everything already.
        """
        operations = [
            (operation, self._holder(operation, stream))
            for operation, stream, _ in pending
        ]
        self._decided = deque(self.snapshot.decide(operations))
        return self._encode

    def _holder(self, operation: Operation, source: SourceStream) -> Stream | None:
        key = source.title, source.name
        if isinstance(operation, ObjectDeleteRelationships) and key in self._mixed:
            return None  # most likely an event
        return self._streams.get(key)

    def _encode(
        self, operation: Operation, stream: SourceStream, line: Line
    ) -> QueuedOperation | None:
        decision = self._decided.popleft()
        counts = self._counts
        if decision.operation is None:
            if counts is not None:
                counts.leave(stream, operation, decision.entry)
            return None
        ticket = decision.ticket
        try:
            queued = encode_operation(
                decision.operation,
                stream,
                line,
                ordering=ordering_by_decision(operation, decision),
            )
        except RejectedRecord:
            self._rejected(operation, stream, ticket)
            raise
        if ticket is not None:
            queued.ticket = ticket
            queued.memory += TICKET_MEMORY
            for each in ticket.effects:
                queued.memory += ATTRIBUTE_MEMORY * len(each.named or each.entry.hashes)
        if counts is not None:
            counts.expect(queued, decision.operation, decision)
        return queued

    def _rejected(
        self, operation: Operation, source: SourceStream, ticket: Ticket | None
    ) -> None:
        """Hold what an operation names although it cannot be encoded and sent."""
        if ticket is not None:
            self.snapshot.reject(ticket)
        if self._holder(operation, source) is not None:
            self.hold(source, names_alone(operation))

    def hold(self, source: SourceStream, operation: Operation | None) -> None:
        """Hold what a record names although it is not sent.

        Args:
            source: The stream of the record.
            operation: An operation on what it names; None if that cannot be read.
        """
        stream = self._streams.get((source.title, source.name))
        if stream is None:
            return
        if operation is None or not is_unicode(operation):
            stream.unreadable += 1
        else:
            self.snapshot.hold(operation, stream)

    def checkpoint(self, state: Any) -> None:  # noqa: ANN401 - whatever a tap writes
        """Write what streams hold, before a STATE message is written."""
        self._bookmarks.add(state)
        self.snapshot.checkpoint()

    def end(self, *, ended_well: bool, reads_rejected: bool) -> list[str]:
        """End the records of all streams, when all of them are answered.

        Args:
            ended_well: Whether the input was read to its end and nothing is
                undelivered.
            reads_rejected: Whether the input has records that a run rejected, which
                add to what streams hold and replace nothing.

        Returns:
            A warning for each stream with ``remove_missing`` of which nothing is left.
        """
        names = {source for _, source in self._streams}
        warnings: list[str] = []
        for key, stream in self._streams.items():
            if reads_rejected:
                self.snapshot.end_addition(stream)
                continue
            is_full = self._bookmarks.is_full_table(stream.source, names)
            self.snapshot.end(stream, ended_well=ended_well, full_table=is_full)
            if key in self._removing and stream.status == "complete":
                held, missing = stream.counts
                kinds = [KINDS[each] for each in sorted(KINDS_OF_CALLS[stream.call])]
                warnings += nothing_left(
                    stream.title,
                    {kind: missing[kind] for kind in kinds},
                    sum(held[kind] for kind in kinds),
                )
        self._streams.clear()
        return warnings

    def removals(self, calls: StreamCalls) -> list[Removal]:
        """Return what ``--remove-missing`` would do after this run.

        Args:
            calls: The settings of streams.
        """
        mapped = [
            Candidate(
                stream,
                rule.call,
                rule.conversion.update_only,
                rule.asks_for_removal,
                rule.removal.max_deletions,
            )
            for stream in self.snapshot.streams
            if (rule := calls.rule_of(stream.name)) is not None
        ]
        return RemovalFinder(self.snapshot).find(mapped)

    def close(self) -> None:
        """Close the file; streams that were not ended did not end well."""
        if self._snapshot is not None:
            with suppress(SnapshotError):
                self.end(ended_well=False, reads_rejected=False)
            self._snapshot.close()
            self._snapshot = None


class RememberingSender:
    """Sends operations, and writes to a snapshot what is sent and answered."""

    def __init__(self, sender: Sends, changes: Changes) -> None:
        """Send through another sender.

        Args:
            sender: The sender.
            changes: The changes of the run, with the open snapshot.
        """
        self._sender = sender
        self._changes = changes

    @property
    def statistics(self) -> RequestStatistics:
        """Totals so far."""
        return self._sender.statistics

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        """Send operations of one endpoint; see :meth:`Sender.deliver`.

        Args:
            operations: Operations of one endpoint, in order.

        Yields:
            The result of some of the operations, once it is in the snapshot, or
            cannot be written to it.

        Raises:
            SnapshotError: The snapshot cannot be written.
        """
        tickets = _tickets(operations)
        if not tickets:
            yield from self._sender.deliver(operations)
            return
        snapshot = self._changes.snapshot
        intent = snapshot.intend(tickets)
        for result in self._sender.deliver(operations):
            # Customer.io may have applied an operation that was given up: it stays
            # unknown.
            refused = [
                operation
                for operation, error in result.rejected
                if error.reason != UNDELIVERABLE
            ]
            try:
                snapshot.answer(intent, _tickets(result.delivered), _tickets(refused))
            except SnapshotError:
                yield result  # counts; its attributes stay unknown and are sent again
                raise
            yield result

    def stop(self) -> None:
        """Send nothing more; requests in flight finish."""
        self._sender.stop()


def ordering_by_decision(operation: Operation, decision: Decision) -> Ordering:
    """Return what orders an operation of which something is sent.

    Args:
        operation: The operation, as a whole.
        decision: What was decided on it.
    """
    if decision.keys:
        return ordering_by(decision.keys)
    return ordering_of(operation, decision.identities)


def _tickets(operations: Iterable[QueuedOperation]) -> list[Ticket]:
    tickets = (each.ticket for each in operations)
    return [each for each in tickets if isinstance(each, Ticket)]
