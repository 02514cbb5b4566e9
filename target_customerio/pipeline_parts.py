"""The parts of a run by its settings: for Customer.io or a sandbox, or for a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from target_customerio.delivery import Sender, encode_operation
from target_customerio.results.recorder import RunRecorder
from target_customerio.track_api.client import Client, build_session

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from target_customerio.changes import Changes
    from target_customerio.delivery import QueuedOperation
    from target_customerio.delivery.worker import Sends
    from target_customerio.plan.counts import PlanCounts
    from target_customerio.records import Line, SourceStream
    from target_customerio.sandbox import SandboxAdapter
    from target_customerio.settings import Settings
    from target_customerio.track_api.operations import Operation

    Pending = Sequence[tuple[Operation, SourceStream, Line]]
    Encode = Callable[[Operation, SourceStream, Line], QueuedOperation | None]


class Parts(NamedTuple):
    """What a pipeline is made of.

    Attributes:
        account: Checks the account; sends the operations unless it is a plan.
        sender: Delivers operations, or pretends to.
        recorder: Counts records and writes rejected records and STATE, or only counts.
        changes: Compares operations with the snapshot, if there is one.
        counts: Counts for the plan, if it is one.
        sandbox: Responds instead of Customer.io, if there is one.
    """

    account: Sender
    sender: Sends
    recorder: RunRecorder
    changes: Changes | None = None
    counts: PlanCounts | None = None
    sandbox: SandboxAdapter | None = None

    def encoder(self, pending: Pending) -> Encode:
        """Return the function that encodes these operations, in order."""
        if self.changes is not None:
            return self.changes.encoder(pending)
        return encode_operation if self.counts is None else self.counts.encode


def parts_of(
    settings: Settings, logger: logging.Logger, recorder: RunRecorder | None = None
) -> Parts:
    """Create the parts of a run; nothing is sent yet.

    Args:
        settings: The settings.
        logger: Logs messages for the user.
        recorder: Counts, and writes rejected records and STATE; by default one of
            records.

    Raises:
        SandboxError: The sandbox file cannot be used.
    """
    sandbox = _sandbox(settings)
    account = _sender(settings, sandbox)
    recorder_of_records = recorder or RunRecorder(settings, logger)
    parts = Parts(account, account, recorder_of_records, sandbox=sandbox)
    if settings.plan:
        # Only plans need it, and it needs SQLite.
        from target_customerio.plan.counts import PlanCounts  # noqa: PLC0415
        from target_customerio.plan.dry_run import (  # noqa: PLC0415
            AcceptingSender,
            PlanRecorder,
        )

        counts = PlanCounts()
        parts = parts._replace(
            recorder=recorder or PlanRecorder(settings, logger, counts), counts=counts
        )
        if settings.connection.sandbox is None:
            parts = parts._replace(sender=AcceptingSender(account))
    if settings.snapshot is not None:
        # Only runs with a snapshot need SQLite.
        from target_customerio.changes import Changes  # noqa: PLC0415

        changes = Changes(
            settings.snapshot, refresh=settings.refresh, counts=parts.counts
        )
        parts = parts._replace(changes=changes, sender=changes.sender(parts.sender))
    return parts


def _sandbox(settings: Settings) -> SandboxAdapter | None:
    connection = settings.connection
    if connection.sandbox is None:
        return None
    # Only runs with a sandbox need SQLite.
    from target_customerio.sandbox import SandboxAdapter  # noqa: PLC0415

    return SandboxAdapter(
        connection.sandbox,
        region=connection.region,
        email_updates=connection.sandbox_email_updates,
        as_copy=settings.plan,
    )


def _sender(settings: Settings, sandbox: SandboxAdapter | None) -> Sender:
    connection = settings.connection
    session = build_session(
        connection.site_id, connection.api_key, settings.limits.concurrency
    )
    if sandbox is not None:
        for scheme in list(session.adapters):
            session.mount(scheme, sandbox)
    client = Client(
        session, connection.base_url, settings.limits.request_timeout_seconds
    )
    return Sender(client, settings.limits)
