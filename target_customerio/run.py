"""One run: what the sinks of all streams share, from the first record to the last."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from target_customerio.accounts import Accounts
from target_customerio.address_book import AddressBook, Conflict
from target_customerio.delivery import (
    Client,
    Delivery,
    Sender,
    build_session,
    encode_operation,
)
from target_customerio.errors import RejectedRecord
from target_customerio.record_metrics import RecordMetrics
from target_customerio.summary import OLD_IDENTIFIES, OLD_SECONDS, RECENT_SECONDS
from target_customerio.track_api.operations import PersonActivity, PersonIdentify

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from target_customerio.delivery import QueuedOperation
    from target_customerio.reader import Line
    from target_customerio.rejected import SourceStream
    from target_customerio.settings import Settings
    from target_customerio.summary import Entry
    from target_customerio.track_api.operations import Operation

PROGRESS_SECONDS: Final = 30.0
LONG_LINE: Final = 8_192
"""Bytes above which a line is counted among what the delivery holds."""
OPERATIONS_TOGETHER: Final = 32
"""Most operations that are handed over at once, which takes less time than one by one.

Where there is no room for so many, it is fewer, lest more be read than is taken."""

CONFLICTS: Final = {
    Conflict.MOVED_ADDRESS: "Stream '%s', %s: this e-mail address was sent with "
    "another id before; Customer.io keeps one person per address and either merges "
    "the two ids or leaves the address with the other one",
    Conflict.CHANGED_ADDRESS: "Stream '%s', %s: this id was sent with another e-mail "
    "address before; Customer.io keeps the first address unless the workspace has "
    '"Allow updates to email using ID" on',
}
CONFLICTS_TOLD: Final = 3
"""How many conflicts of each kind are logged; the summary counts them all."""


class Run:
    """What the sinks of a run share."""

    def __init__(
        self,
        settings: Settings,
        logger: logging.Logger,
        on_failure: Callable[[], None],
        place: Callable[[], str],
    ) -> None:
        """Contact nobody yet.

        Args:
            settings: The settings.
            logger: Takes what the user should know.
            on_failure: Called as soon as the delivery has failed, by any thread.
            place: Returns where in the input the current record is.

        Raises:
            SandboxError: The sandbox's file cannot be used.
        """
        self.settings = settings
        self.accounts = Accounts(settings, logger)
        self._logger = logger
        self._sender = _sender(settings)
        self._delivery = Delivery(
            self._sender, settings.limits, self.accounts, on_failure
        )
        self._shard = settings.shard if settings.shard.count > 1 else None
        self._recent_since = time.time() - RECENT_SECONDS
        self.workspace: int | None = None
        """The workspace's number, once Customer.io has told it."""
        self._met = False
        self._taken: list[tuple[Operation, SourceStream, Line]] = []
        self._together = 1  # nobody waits to hear whether the credentials are right
        self._timeless: set[str] = set()
        self._address_book = AddressBook()
        self._old_before = time.time() - OLD_SECONDS
        self._place = place
        self._metrics = RecordMetrics()
        self._ended = Event()

    def meet(self) -> None:
        """Make sure, once, that Customer.io knows us and is in the right region.

        Raises:
            DeliveryError: It does not, it is not, or there is no telling.
        """
        if not self._met:
            region = self.settings.connection.region
            self.workspace = self._sender.check_account(region)
            self._met = True

    def begin(self) -> None:
        """Log progress from now on."""
        Thread(target=self._show_progress, daemon=True).start()

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
        if self._shard is not None and not self._shard.holds(
            operation.primary_identity()
        ):
            self.accounts.leave_to_another_shard(stream.title)
            return
        if type(operation) is PersonIdentify:
            self._look_at(operation, stream)
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
                    each = encode_operation(operation, stream, line)
                except RejectedRecord as error:
                    self.accounts.put_aside(stream, line, error)
                    continue
                if isinstance(operation, PersonActivity):
                    moment = operation.timestamp
                    if moment is UNSET:
                        self._warn_of_no_time(stream)
                        each.is_recent = True
                    elif moment > recent_since:
                        each.is_recent = True
                if len(line) > LONG_LINE:
                    each.record_bytes = len(line)
                queued.append(each)
        finally:
            self._delivery.put(*queued)
            self._together = min(OPERATIONS_TOGETHER, self._delivery.room)

    def _look_at(self, identify: PersonIdentify, stream: SourceStream) -> None:
        """Count what Customer.io may accept and not apply."""
        figures = self.accounts.summary.figures
        moment = identify.timestamp
        if moment is not UNSET and moment < self._old_before:
            figures[OLD_IDENTIFIES] += 1
        for conflict in self._address_book.add(identify):
            figures[conflict.value] += 1
            if figures[conflict.value] <= CONFLICTS_TOLD:
                self._logger.warning(CONFLICTS[conflict], stream.title, self._place())

    def _warn_of_no_time(self, stream: SourceStream) -> None:
        if stream.title not in self._timeless:
            self._timeless.add(stream.title)
            self._logger.warning(
                "Stream '%s': events have no timestamp: Customer.io dates them now, so "
                "they can trigger campaigns. If a column holds the time, map it to "
                "timestamp with stream_maps",
                stream.title,
            )

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
            self.accounts.put_aside(stream, line, error)
            self.accounts.advise(stream.title, line, error)
        else:
            self.accounts.leave_to_another_shard(stream.title)

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
        self.accounts.end_streams()
        self._metrics.log(self.accounts.summary.streams, is_final=True)
        for entry in self.accounts.summary.entries(self._delivery.statistics):
            self._tell(entry)

    def close(self, patience_seconds: float = 0.0) -> None:
        """Let go of everything.

        Args:
            patience_seconds: How long requests under way may take to be accounted for.
        """
        self._ended.set()
        self._delivery.close(patience_seconds)
        self._sender.close()
        self.accounts.close()

    def _show_progress(self) -> None:
        while not self._ended.wait(PROGRESS_SECONDS):
            self._tell(self.accounts.summary.progress(self._delivery.statistics))
            self._metrics.log(self.accounts.summary.streams, is_final=False)

    def _tell(self, entry: Entry) -> None:
        self._logger.info("%s", entry.text, extra=entry.fields)


def _sender(settings: Settings) -> Sender:
    connection = settings.connection
    session = build_session(
        connection.site_id, connection.api_key, settings.limits.concurrency
    )
    if connection.sandbox is not None:
        # The sandbox brings SQLite with it, which no other run needs.
        from target_customerio.sandbox import SandboxAdapter  # noqa: PLC0415

        adapter = SandboxAdapter(
            connection.sandbox,
            region=connection.region,
            email_updates=connection.sandbox_email_updates,
        )
        for scheme in list(session.adapters):
            session.mount(scheme, adapter)
    client = Client(
        session, connection.base_url, settings.limits.request_timeout_seconds
    )
    return Sender(client, settings.limits)
