"""An open snapshot in a run: what the other modules are used through."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, Final

from target_customerio.snapshot.comparison import Comparison
from target_customerio.snapshot.decisions import Decider
from target_customerio.snapshot.effects import Epochs, Names
from target_customerio.snapshot.file import SnapshotFile
from target_customerio.snapshot.journal import Journal
from target_customerio.snapshot.streams import Stream, Streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.effects import Ticket
    from target_customerio.snapshot.journal import Intent
    from target_customerio.track_api.operations import Operation


REFRESHED_AT_ONCE: Final = 2_000
"""Maximum entries of unchanged records that wait to be written."""


class Snapshot:
    """What Customer.io was sent last, and which stream holds what.

    The reading thread calls :meth:`decide` and the methods on streams; the threads that
    send requests call :meth:`intend` and :meth:`answer`. An answer is in the file
    before the reading thread takes note of it, in its next call; until then, that
    thread takes the attributes of the operation as unknown.
    """

    def __init__(
        self, path: str | Path, *, refresh: bool = False, as_copy: bool = False
    ) -> None:
        """Open or create a snapshot.

        Args:
            path: The file.
            refresh: Whether to make everything unknown, see :meth:`refresh`.
            as_copy: Whether to open a temporary copy of the file instead, for a plan.

        Raises:
            SnapshotError: The file cannot be used, or another run uses it.
        """
        self.file = SnapshotFile(path, as_copy=as_copy)
        try:
            self._open(refresh=refresh)
        except BaseException:
            self.file.close()
            raise

    def _open(self, *, refresh: bool) -> None:
        file, lock = self.file, Lock()
        Journal(file, lock, Epochs(file.reader), Names(file.reader), ()).recover()
        self.streams = Streams(file.reader)
        self._comparison = compare = Comparison(file)
        self._decider = Decider(compare)
        entries = compare.entries
        self._journal = Journal(
            file, lock, entries.epochs, compare.names, self.streams.holds
        )
        self._answered: deque[tuple[Ticket, bool]] = deque()
        self._lock = lock
        if refresh:
            self.refresh()

    def bind(self, workspace: str) -> None:
        """Bind a new snapshot to a workspace, or check that it is bound to this one.

        Args:
            workspace: Its ``environment_id``.

        Raises:
            SnapshotError: The snapshot belongs to another workspace.
        """
        self.file.bind(workspace)

    def refresh(self) -> None:
        """Make all attributes unknown; what streams hold stays."""
        entries = self._comparison.entries
        entries.make_unknown(None, with_links=False)
        with self._lock, self.file.writing(durable=True) as database:
            entries.epochs.write(database)

    # The reading thread

    @property
    def next_number(self) -> int:
        """The number of the next new entry."""
        number: int = self._comparison.entries.next_number
        return number

    def begin(
        self,
        name: str,
        source: str,
        call: str = "identify",
        *,
        update_only: bool = False,
    ) -> Stream:
        """Start the records of a stream.

        Args:
            name: Its name after stream maps.
            source: Its name in the tap.
            call: Its call.
            update_only: Whether its identifies create no people.

        Returns:
            The stream, to be passed to :meth:`decide` and :meth:`end`.
        """
        stream = self.streams.begin(name, source, call, update_only=update_only)
        with self._lock, self.file.writing(durable=True) as database:
            self.streams.start_run(stream, database)
        return stream

    def decide(
        self, operations: Sequence[tuple[Operation, Stream | None]]
    ) -> list[Decision]:
        """Decide what to send of the next operations of the run.

        Args:
            operations: The operations, in order, each with its stream; None if the
                stream does not hold what it names.

        Returns:
            A decision for each. A ticket has to come back in :meth:`answer`, also if
            its operation is rejected before it is sent.
        """
        self._settle()
        decisions = self._decider.decide(
            [
                (operation, None if stream is None else stream.holds)
                for operation, stream in operations
            ]
        )
        if len(self._comparison.refreshed) >= REFRESHED_AT_ONCE or (
            # What only unchanged records name is not in the file with a request.
            any(stream.is_changed for stream in self.streams.holds)
            and any(each.operation is None for each in decisions)
        ):
            self.checkpoint()
        return decisions

    def reject(self, ticket: Ticket) -> None:
        """Note that an operation is rejected before it is sent.

        Args:
            ticket: Its ticket.

        Raises:
            SnapshotError: The file cannot be written.
        """
        self.answer(self.intend([ticket]), rejected=[ticket])

    def hold(self, operation: Operation, stream: Stream) -> None:
        """Let a stream hold the known entries that a record names, without sending it.

        Args:
            operation: An operation that names what the record names.
            stream: The stream of the record.
        """
        self._settle()
        self._decider.hold(operation, stream.holds)

    def checkpoint(self) -> None:
        """Write what streams hold by now, and the hashes of rows found unchanged.

        What streams hold is written durably: after a STATE message, the tap may not
        send the records again.

        Raises:
            SnapshotError: The file cannot be written.
        """
        self._settle()
        holds_more = any(stream.is_changed for stream in self.streams.holds)
        refreshed = self._comparison.refreshed
        if holds_more or refreshed:
            number = self._comparison.entries.next_number
            self._journal.write(refreshed, number, durable=holds_more)
            refreshed.clear()

    def end(self, stream: Stream, *, ended_well: bool, full_table: bool) -> None:
        """End the records of a stream, when all of them are answered.

        Args:
            stream: The stream.
            ended_well: Whether its input was read to its end and all was delivered,
                rejected or skipped.
            full_table: Whether it is a full table.
        """
        self.checkpoint()
        with self._lock, self.file.writing(durable=True) as database:
            self.streams.end_run(
                stream, database, ended_well=ended_well, full_table=full_table
            )

    def end_addition(self, stream: Stream) -> None:
        """End the records of a stream in a run that reads rejected records.

        The stream holds what they name in addition; the earlier run stays its last.
        """
        with self._lock, self.file.writing(durable=True) as database:
            self.streams.end_addition(stream, database)

    def forget(self, stream: Stream) -> None:
        """Drop a stream and what it holds.

        Args:
            stream: The stream, which has no run now.
        """
        with self._lock, self.file.writing(durable=True) as database:
            self.streams.forget(stream, database)

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        with self._lock:
            self.file.close()

    def _settle(self) -> None:
        """Take note of the answers that the sending threads have written."""
        answered, entries = self._answered, self._comparison.entries
        while answered:
            ticket, delivered = answered.popleft()
            for effect in ticket.effects:
                entry = effect.entry
                entries.settle(effect, delivered=delivered)
                # While a later operation names the entry too, the stream holds it.
                is_gone = effect.drops if delivered else effect.is_new
                if is_gone and not entry.unanswered:
                    for stream in self.streams.holds:
                        stream.release(entry.kind, entry.number)
            if ticket.concerns_anyone:
                entries.make_unknown_in_memory(ticket.unknown_everywhere)

    # The threads that send requests

    def intend(self, tickets: Sequence[Ticket]) -> Intent:
        """Make unknown, durably, what a request is about to change.

        Args:
            tickets: The tickets of its operations.

        Returns:
            The intent, for :meth:`answer`.

        Raises:
            SnapshotError: The file cannot be written; the request must not be sent.
        """
        return self._journal.intend(tickets, self._comparison.entries.next_number)

    def answer(
        self,
        intent: Intent,
        delivered: Sequence[Ticket] = (),
        rejected: Sequence[Ticket] = (),
    ) -> None:
        """Write what the answers to operations of a request make known.

        Args:
            intent: The intent of the request.
            delivered: The tickets of operations that Customer.io accepted, in order.
            rejected: The tickets of those that it refused.

        Raises:
            SnapshotError: The file cannot be written.
        """
        self._journal.answer(intent, delivered, rejected)
        self._answered.extend((each, True) for each in delivered)
        self._answered.extend((each, False) for each in rejected)
