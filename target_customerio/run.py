"""One run: takes operations in, keeps their accounts, and says how it went.

Everything that the sinks of all streams share is here: the delivery, the file of
rejected records, the counts, and what a rejection means for the run.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from operator import attrgetter
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import UNSET

from target_customerio.delivery import (
    Client,
    Delivery,
    Sender,
    Statistics,
    build_session,
    enqueueable,
)
from target_customerio.errors import (
    MissingKeyPropertyError,
    RecordsRejectedError,
    RejectedRecord,
    StateError,
)
from target_customerio.operations import PersonHappening
from target_customerio.rejected import RejectedRecords
from target_customerio.summary import RECENT_SECONDS, Summary

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from target_customerio.delivery import QueuedOperation
    from target_customerio.operations import Operation
    from target_customerio.reading import Line
    from target_customerio.rejected import SourceStream
    from target_customerio.settings import Settings

PROGRESS_SECONDS: Final = 30.0
MISSING_KEY: Final = "missing_key"
ELSEWHERE: Final = "another shard"
TOGETHER: Final = 32
"""Most operations that are handed over at once, which takes less time than one by one.

Where there is no room for so many, it is fewer, lest more be read than is taken."""
REFUSED: Final = "Customer.io refuses it"
_stream_and_label: Final = attrgetter("stream", "label")
_is_recent: Final = attrgetter("is_recent")
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Run:
    """What the sinks of a run share."""

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        """Contact nobody yet.

        Args:
            settings: The settings.
            logger: Takes what the user should know.

        Raises:
            SandboxError: The sandbox's file cannot be used.
        """
        self.summary = Summary()
        self.settings = settings
        self._logger = logger
        self._rejected_records = RejectedRecords(settings.rejected_path)
        self._sender = _sender(settings)
        self._delivery = Delivery(self._sender, settings.limits, self)
        self._shard = settings.shard if settings.shard.count > 1 else None
        self._recent_since = time.time() - RECENT_SECONDS
        self._met = False
        self._taken: list[tuple[Operation, SourceStream, Line]] = []
        self._together = 1  # nobody waits to hear whether the credentials are right
        self._ended = Event()
        self._rejecting = Lock()

    @property
    def statistics(self) -> Statistics:
        """What the delivery has cost so far."""
        return self._delivery.statistics

    def meet(self) -> None:
        """Make sure, once, that Customer.io knows us and is in the right region.

        Raises:
            DeliveryError: It does not, it is not, or there is no telling.
        """
        if not self._met:
            self._sender.check_account(self.settings.connection.region)
            self._met = True
            Thread(target=self._show_progress, daemon=True).start()

    def skip(self, stream: str, reason: str) -> None:
        """Count a record that a rule leaves out.

        Args:
            stream: The name of the stream in the summary.
            reason: The rule.
        """
        counts = self.summary.streams[stream]
        counts.read += 1
        counts.skipped[reason] += 1

    def take(self, stream: SourceStream, line: Line, operation: Operation) -> None:
        """Take an operation in for delivery, unless it falls to another shard.

        It is handed over with a few others, at the latest before more input has to be
        waited for.

        Args:
            stream: The stream of the record that it comes from.
            line: The record as it arrived.
            operation: The operation.

        Raises:
            TargetError: The delivery has ended.
        """
        if self._shard is not None and not self._shard.holds(operation.leader()):
            self.summary.streams[stream.title].skipped[ELSEWHERE] += 1
            return
        taken = self._taken
        taken.append((operation, stream, line))
        if len(taken) >= self._together:
            self.hand_over()

    def hand_over(self) -> None:
        """Hand what was taken in over to the delivery.

        Raises:
            TargetError: The delivery has ended, or the run is to stop at the first
                rejected record.
        """
        if not self._taken:
            return
        taken, self._taken = self._taken, []
        self.meet()
        recent_since = self._recent_since
        queued: list[QueuedOperation] = []
        try:
            for operation, stream, line in taken:
                try:
                    each = enqueueable(operation, stream, line)
                except RejectedRecord as error:
                    self._put_aside(stream, line, error, error.message)
                    continue
                if isinstance(operation, PersonHappening):
                    moment = operation.timestamp
                    if moment is UNSET or moment > recent_since:
                        each.is_recent = True
                queued.append(each)
        finally:
            self._delivery.put(*queued)
            self._together = min(TOGETHER, self._delivery.room)

    def reject(self, stream: SourceStream, line: Line, error: RejectedRecord) -> None:
        """Put a record aside that becomes no operation; one of all shards does.

        Args:
            stream: The stream of the record.
            line: The record as it arrived.
            error: What is wrong with it.

        Raises:
            RecordsRejectedError: The run is to stop at the first.
            RejectedFileError: It cannot be put aside.
        """
        self.hand_over()  # what is rejected stands in the file in the order of arrival
        if self.settings.shard.holds(line):
            self._put_aside(stream, line, error, error.message)
        else:
            self.summary.streams[stream.title].skipped[ELSEWHERE] += 1

    def _put_aside(
        self, stream: SourceStream, record: Line, error: RejectedRecord, said: str
    ) -> None:
        with self._rejecting:
            line = self._rejected_records.add(stream.source(record), error)
            self.summary.streams[stream.title].rejected += 1
        where = f"line {line} of {self._rejected_records.path}"
        self._logger.warning(
            "A record of stream '%s' is rejected, see %s: %s (%s%s)",
            stream.title,
            where,
            said,
            error.reason,
            f", {error.field}" if error.field else "",
        )
        if self.settings.on_rejected == "abort":
            kind = (
                MissingKeyPropertyError
                if error.reason == MISSING_KEY
                else RecordsRejectedError
            )
            raise kind(
                f"A record of stream {stream.title!r} was rejected, and on_rejected is "
                f"abort; mend it in {where}"
            )

    def is_echo(self, rejection: object) -> bool:
        """Tell whether a record comes out of this run's own rejected records.

        Args:
            rejection: What stands beside the record.

        Returns:
            Whether it does, and has been dealt with.
        """
        return self._rejected_records.holds_already(rejection)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Have a state written once everything before it is accounted for.

        Args:
            state: The state.

        Raises:
            TargetError: The delivery has ended.
        """
        self.hand_over()
        self._delivery.checkpoint(state)

    def drain(self) -> None:
        """Deliver all that was taken in.

        Raises:
            TargetError: The delivery has ended.
        """
        if not self._ended.is_set():
            self.hand_over()
            self._delivery.drain()

    def end(self, *, patience_seconds: float = 0.0) -> None:
        """Stop, say what was done, and let go of everything.

        Args:
            patience_seconds: How long requests under way may take to be accounted for.
        """
        if self._ended.is_set():
            return
        self.close(patience_seconds)
        for line in self.summary.lines(self.statistics):
            self._logger.info("%s", line)

    def close(self, patience_seconds: float = 0.0) -> None:
        """Let go of everything.

        Args:
            patience_seconds: How long requests under way may take to be accounted for.
        """
        self._ended.set()
        self._delivery.close(patience_seconds)
        self._sender.close()
        self._rejected_records.close()

    def judge(self) -> None:
        """Fail the run if records were rejected and the settings say so.

        Raises:
            RecordsRejectedError: They were, and they do.
        """
        rejected = self.summary.rejected
        if rejected and self.settings.on_rejected == "fail":
            what = "1 record was" if rejected == 1 else f"{rejected:,} records were"
            raise RecordsRejectedError(
                f"{what} rejected, see {self._rejected_records.path}; everything else "
                "is delivered. Move the file, mend it and pipe it in again, or set "
                "on_rejected to continue"
            )

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        """Count operations that Customer.io has taken.

        Args:
            operations: The operations.
        """
        labels = Counter(map(_stream_and_label, operations))
        for (stream, label), count in labels.items():
            self.summary.streams[stream.title].delivered[label] += count
        self.summary.recent_events += sum(map(_is_recent, operations))

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        """Put aside the record of an operation that Customer.io has refused.

        Args:
            operation: The operation.
            error: What is wrong with it.

        Raises:
            RecordsRejectedError: The run is to stop at the first.
            RejectedFileError: It cannot be put aside.
        """
        # What Customer.io says of a value may quote it; the file has it in full.
        stream = cast("SourceStream", operation.stream)
        self._put_aside(stream, cast("Line", operation.origin), error, REFUSED)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write STATE, as the Singer specification wants it.

        Args:
            state: The state.

        Raises:
            StateError: Nobody takes it.
        """
        try:
            text = _encoder.encode(state).decode()
        except UnicodeEncodeError:  # half a surrogate pair in a bookmark
            text = json.dumps(state, default=str)
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError) as error:
            raise StateError(
                "STATE cannot be written to standard output, which is closed or full; "
                "what was delivered after the last STATE will be sent again"
            ) from error

    def _show_progress(self) -> None:
        while not self._ended.wait(PROGRESS_SECONDS):
            self._logger.info("%s", self.summary.progress(self.statistics))


def _sender(settings: Settings) -> Sender:
    connection = settings.connection
    session = build_session(
        connection.site_id, connection.api_key, settings.limits.concurrency
    )
    if connection.sandbox is not None:
        # The sandbox brings SQLite with it, which no other run needs.
        from target_customerio.sandbox import SandboxAdapter  # noqa: PLC0415

        adapter = SandboxAdapter(connection.sandbox, region=connection.region)
        for scheme in list(session.adapters):
            session.mount(scheme, adapter)
    client = Client(
        session, connection.base_url, settings.limits.request_timeout_seconds
    )
    return Sender(client, settings.limits)
