"""How the run of a plan differs from others: nothing is sent, no file is changed.

Records go through the whole pipeline, to a sender that accepts everything and a
recorder that writes nothing. The snapshot and the sandbox are temporary copies; a
sandbox's copy answers as the sandbox would.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from target_customerio.delivery.sender import Result
from target_customerio.results.recorder import RunRecorder

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

    from target_customerio.delivery import QueuedOperation, RequestStatistics
    from target_customerio.delivery.worker import Sends
    from target_customerio.errors import RejectedRecord
    from target_customerio.plan.counts import PlanCounts
    from target_customerio.records import Line, Place, SourceStream
    from target_customerio.settings import Settings


class AcceptingSender:
    """Takes every operation as accepted, and sends nothing."""

    def __init__(self, sender: Sends) -> None:
        """Send nothing, in place of another sender."""
        self._sender = sender

    @property
    def statistics(self) -> RequestStatistics:
        """Totals of the other sender, which only checks the account."""
        return self._sender.statistics

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        """Yield the operations as delivered."""
        yield Result(delivered=operations)

    def stop(self) -> None:
        """Stop the other sender."""
        self._sender.stop()


class PlanRecorder(RunRecorder):
    """Counts what would become of records; writes neither them nor STATE."""

    def __init__(
        self, settings: Settings, logger: logging.Logger, counts: PlanCounts
    ) -> None:
        """Count in the summary of a run and in the counters of a plan."""
        # What would be rejected does not end a plan: the plan says so.
        super().__init__(replace(settings, on_rejected="continue"), logger)
        self._counts = counts
        self._outcome, self._also_written = "would be rejected", ""

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Count operations that would be sent."""
        super().delivered(operations)
        for each in operations:
            self._counts.accept(each)

    def repeated(self, operations: Sequence[QueuedOperation]) -> None:
        """Count events that the sandbox would drop."""
        for each in operations:
            self._counts.refuse(each)
        super().repeated(operations)

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Count the record of an operation that the sandbox would refuse."""
        self._counts.refuse(operation)
        super().rejected(operation, error)

    def _store_rejected(
        self,
        stream: SourceStream,  # noqa: ARG002 - it is not written
        record: Line,  # noqa: ARG002
        error: RejectedRecord,  # noqa: ARG002
        place: Place | None,
    ) -> tuple[int, str]:
        """Write nothing; return where in the input a record is."""
        if place is None:
            return 0, "the input"
        return place.line, f"{place} of the input"

    def write_state(self, state: bytes) -> None:
        """Write no STATE: the next run has to read the same records."""
