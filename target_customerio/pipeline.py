"""The pipeline of a run, shared by all sinks: operations in, requests and STATE out."""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from target_customerio.delivery import Delivery
from target_customerio.errors import PlanError, RejectedRecord, SandboxError
from target_customerio.pipeline_parts import parts_of
from target_customerio.plan.text import plan_lines
from target_customerio.results.advice import OperationWarnings
from target_customerio.results.counters import RECENT_SECONDS, UNCHANGED
from target_customerio.results.metrics import RecordMetrics
from target_customerio.track_api.endpoints import Limits
from target_customerio.track_api.operations import (
    PersonActivity,
    PersonEvent,
    PersonIdentify,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from target_customerio.changes import Changes
    from target_customerio.delivery import QueuedOperation
    from target_customerio.delivery.sender import RequestStatistics
    from target_customerio.plan import Plan
    from target_customerio.records import Line, Place, SourceStream
    from target_customerio.results.recorder import RunRecorder
    from target_customerio.results.summary import LogLine
    from target_customerio.sandbox.observation import Observation
    from target_customerio.settings import Settings
    from target_customerio.settings.stream_calls import StreamRule
    from target_customerio.track_api.operations import Operation

LONG_LINE: Final = Limits.operation_bytes
"""Bytes above which a record is queued at once, without waiting for others."""
BATCH_OPERATIONS: Final = 32
"""Maximum operations queued at once, which is faster than one by one.

It is fewer if the queue has no room for so many, so that reading does not run ahead.
"""

CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""Maximum wait for requests in flight when a run has failed."""


class Pipeline:
    """Queues operations for delivery and records what happens to each record.

    Attributes:
        settings: The settings.
        recorder: Counts records and writes rejected records and STATE.
        workspace: The number of the workspace, once Customer.io has returned it.
        changes: Compares operations with the snapshot, if there is one.
        is_complete: Whether the input was read to its end, and all of it decided.
        plan: What a run would do, once the whole input is counted, if it is a plan.
    """

    def __init__(
        self,
        settings: Settings,
        logger: logging.Logger,
        on_failure: Callable[[], None] | None = None,
        recorder: RunRecorder | None = None,
    ) -> None:
        """Create the pipeline; nothing is sent yet.

        Args:
            settings: The settings.
            logger: Logs messages for the user.
            on_failure: Called as soon as delivery has failed, by any thread.
            recorder: Counts, writes rejected records and STATE; by default one of
                records.

        Raises:
            SandboxError: The sandbox file cannot be used.
        """
        self.settings = settings
        self._logger = logger
        self._parts = parts = parts_of(settings, logger, recorder)
        self.recorder = parts.recorder
        self.changes = parts.changes
        self._delivery = Delivery(
            parts.sender, settings.limits, parts.recorder, on_failure
        )
        self.plan: Plan | None = None
        self.is_complete = False
        self._recent_since = time.time() - RECENT_SECONDS
        self.workspace: int | None = None
        self._connected = False
        self._pending: list[tuple[Operation, SourceStream, Line]] = []
        self._batch = 1  # check the credentials at the first operation
        self._warnings = OperationWarnings(parts.recorder.summary.figures, logger)
        self._metrics = RecordMetrics()
        self._ended = Event()

    @property
    def statistics(self) -> RequestStatistics:
        """Totals of the requests so far."""
        return self._delivery.statistics

    @property
    def workspace_name(self) -> str:
        """What identifies the workspace, once the account is checked."""
        return str(self.workspace or self.settings.connection.base_url)

    def observe(self) -> Observation | None:
        """Observe the people of the sandbox before and after the run, if it has one."""
        sandbox = self._parts.sandbox
        return None if sandbox is None else sandbox.observe()

    def connect(self) -> None:
        """Check credentials and region, once.

        Raises:
            DeliveryError: They are wrong, or Customer.io cannot be reached.
        """
        if not self._connected:
            region = self.settings.connection.region
            self.workspace = self._parts.account.check_account(region)
            self._connected = True

    def begin(self, stream: SourceStream, rule: StreamRule) -> None:
        """Start the records of a stream in the snapshot, if there is one.

        Raises:
            DeliveryError: The credentials or the region are wrong, or Customer.io
                cannot be reached.
            SnapshotError: The snapshot belongs to another workspace.
        """
        if self.changes is not None:
            self.bind(self.changes)
            self.changes.begin(stream, rule)

    def bind(self, changes: Changes) -> None:
        """Check the credentials and that the snapshot belongs to their workspace, once.

        Raises:
            DeliveryError: The credentials or the region are wrong, or Customer.io
                cannot be reached.
            SnapshotError: The snapshot belongs to another workspace.
        """
        if not self._connected:
            self.connect()
            changes.bind(self.workspace_name)

    def start(self) -> None:
        """Open the snapshot, if there is one.

        Raises:
            SnapshotError: The snapshot cannot be used.
        """
        if self.changes is not None:
            self.changes.open()

    def queue(
        self,
        stream: SourceStream,
        line: Line,
        operation: Operation,
        place: Place | int,
    ) -> None:
        """Queue an operation.

        It is queued together with a few others, at the latest before the reader waits
        for more input.

        Args:
            stream: The stream of its record.
            line: The record as it arrived.
            operation: The operation.
            place: Where in the input the record is.

        Raises:
            TargetError: Delivery has failed.
        """
        if type(operation) is PersonIdentify:
            self._warnings.check_identify(operation, stream, place)
        pending = self._pending
        pending.append((operation, stream, line))
        if len(pending) >= self._batch or len(line) > LONG_LINE:
            self.flush()

    def flush(self) -> None:
        """Pass the operations queued here on to the delivery.

        Raises:
            TargetError: Delivery has failed, or a record was rejected and
                ``on_rejected`` is ``abort``.
        """
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self.connect()
        recent_since = self._recent_since
        queued: list[QueuedOperation] = []
        encode = self._parts.encoder(pending)
        try:
            for operation, stream, line in pending:
                try:
                    each = encode(operation, stream, line)
                except RejectedRecord as error:
                    self.recorder.reject(stream, line, error)
                    continue
                if each is None:
                    self.recorder.summary.streams[stream.title].skipped[UNCHANGED] += 1
                    continue
                # Tells nearly all events at once; isinstance is slow for a Struct.
                if type(operation) is PersonEvent or isinstance(
                    operation, PersonActivity
                ):
                    moment = operation.timestamp
                    if moment is UNSET:
                        self._warnings.warn_without_time(stream)
                        each.is_recent = True
                    elif moment > recent_since:
                        each.is_recent = True
                each.memory += len(line)
                queued.append(each)
        finally:
            self._delivery.put(*queued)
            self._batch = min(BATCH_OPERATIONS, self._delivery.room)

    def reject(
        self, stream: SourceStream, line: Line, error: RejectedRecord, place: Place
    ) -> None:
        """Reject a record.

        Args:
            stream: The stream of the record.
            line: The record as it arrived.
            error: What is wrong with it.
            place: Where in the input the record is.

        Raises:
            RecordsRejectedError: ``on_rejected`` is ``abort``.
            RejectedFileError: The file of rejected records cannot be written.
        """
        self.flush()  # keeps the file of rejected records in the order of arrival
        self.recorder.reject(stream, line, error, place=place)
        self.recorder.advise(stream, line, error)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write a state once every operation before it is delivered or rejected.

        Args:
            state: The state.

        Raises:
            TargetError: Delivery has failed.
        """
        self.flush()
        if self.changes is not None:
            self.changes.checkpoint(state)
        self._delivery.checkpoint(state)

    def drain(self) -> None:
        """Deliver everything that is queued.

        Raises:
            TargetError: Delivery has failed.
        """
        if not self._ended.is_set():
            self.flush()
            self._delivery.drain()

    def complete(self, *, is_complete: bool) -> None:
        """Note that the records of all streams are delivered, skipped or rejected.

        Args:
            is_complete: Whether the input was read to its end.

        Raises:
            SnapshotError: The snapshot cannot be written.
            PlanError: It is a plan of only a part of the input.
        """
        self.is_complete = is_complete
        if self.changes is not None:
            warnings = self.changes.end(
                ended_well=is_complete, reads_rejected=self.recorder.reads_rejected
            )
            for warning in warnings:
                self._logger.warning("%s", warning)
        if self._parts.counts is not None:
            if not is_complete:
                raise PlanError(
                    "The plan would be incomplete, since the input was not read to its "
                    "end; run the plan again"
                )
            changes, streams = self.changes, self.settings.streams
            self.plan = self._parts.counts.plan(
                self.settings,
                self.recorder.summary,
                () if changes is None else changes.removals(streams),
            )

    def end(self, *, timeout_seconds: float = 0.0) -> None:
        """Close the pipeline and log the summary, or the plan if it is complete.

        Args:
            timeout_seconds: How long to wait for requests in flight, in seconds.
        """
        if self._ended.is_set():
            return
        self.close(timeout_seconds)
        self.recorder.end_streams()
        if self.plan is not None:
            report = plan_lines(self.plan)
        elif self.settings.plan:
            report = iter(())
        else:
            self._metrics.log(self.recorder.summary.streams, is_final=True)
            report = self.recorder.summary.lines(self.statistics)
        for line in report:
            self._log(line)

    def close(self, timeout_seconds: float = 0.0) -> None:
        """Close all connections and files; nothing more is sent.

        Args:
            timeout_seconds: How long to wait for requests in flight, in seconds.
        """
        self._ended.set()
        self._delivery.close(timeout_seconds)
        self._store_results()
        self._parts.account.close()
        if self.changes is not None:
            self.changes.close()
        self.recorder.close()

    def _store_results(self) -> None:
        """Store the summary in the sandbox, if there is one."""
        results = [*self.recorder.summary.results()]
        sandbox = self._parts.sandbox
        if sandbox is None or not results:
            return
        try:
            sandbox.workspace.store_results(self.recorder.run, results)
        except SandboxError as error:  # the run has ended as it has
            self._logger.warning("%s", error)

    def log_progress(self) -> None:
        """Log the progress line and the metrics, unless the run has ended."""
        if self._ended.is_set():
            return
        self._log(self.recorder.summary.progress(self.statistics))
        if not self.settings.plan:
            self._metrics.log(self.recorder.summary.streams, is_final=False)

    def _log(self, line: LogLine) -> None:
        self._logger.info("%s", line.text, extra=line.fields)
