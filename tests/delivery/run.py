"""A delivery with any transport, and a recorder that remembers results."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from support.command import PATIENCE

from target_customerio.delivery import (
    Client,
    Delivery,
    Limits,
    QueuedOperation,
    Sender,
    build_session,
    encode_operation,
)
from target_customerio.track_api.operations import (
    DeliveryReport,
    Operation,
    PersonEvent,
    SegmentAdd,
    SegmentRemove,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest
    import requests

    from target_customerio.errors import RejectedRecord
    from target_customerio.track_api.responses import Response


MOMENT = 0.3
"""Seconds that a test takes which waits for a time-out."""


def event(name: str, person: str | None = None, padding: int = 0) -> PersonEvent:
    """An event with a unique name; by default each of another person."""
    return PersonEvent(
        identifiers={"id": person or name},
        name=name,
        attributes={"padding": "x" * padding} if padding else {},
    )


def report(name: str) -> DeliveryReport:
    return DeliveryReport(delivery_id=name, metric="opened")


def member(person: str, segment: int, *, leaves: bool = False) -> Operation:
    change = SegmentRemove if leaves else SegmentAdd
    return change(segment_id=str(segment), identifiers={"id": person})


def waits(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Return the seconds between attempts, as decided and logged."""
    texts = [each for each in caplog.messages if "; retrying in " in each]
    return [float(each.partition("; retrying in ")[2].split()[0]) for each in texts]


class FakeRecorder:
    """A recorder that remembers results; records are names of operations."""

    def __init__(self) -> None:
        self.delivered_names: list[Any] = []
        self.repeated_names: list[Any] = []
        self.rejections: dict[Any, RejectedRecord] = {}
        self.states: list[Any] = []
        self.busy = threading.Lock()
        self.seconds_per_call = 0.0
        self.raise_on_rejected: Exception | None = None
        self.raise_on_state: Exception | None = None

    def delivered(self, operations: Sequence[QueuedOperation]) -> None:
        with self.exclusive():
            time.sleep(self.seconds_per_call)
            self.delivered_names += [each.record for each in operations]

    def repeated(self, operations: Sequence[QueuedOperation]) -> None:
        with self.exclusive():
            self.repeated_names += [each.record for each in operations]

    def rejected(self, operation: QueuedOperation, error: RejectedRecord) -> None:
        with self.exclusive():
            self.rejections[operation.record] = error
            if self.raise_on_rejected:
                raise self.raise_on_rejected

    def write_state(self, state: bytes) -> None:
        with self.exclusive():
            if self.raise_on_state:
                raise self.raise_on_state
            self.states.append(json.loads(state))

    def exclusive(self) -> threading.Lock:
        assert not self.busy.locked(), "two calls at once"
        return self.busy


class ImpatientClient(Client):
    """Waits a moment for some responses, and for others as long as it takes."""

    def __init__(
        self,
        session: requests.Session,
        url: str,
        seconds: float,
        is_impatient: Callable[[bytes | None], bool],
    ) -> None:
        super().__init__(session, url, PATIENCE)
        self._impatient = Client(session, url, seconds)
        self._is_impatient = is_impatient

    def send(self, method: str, path: str, body: bytes | None) -> Response:
        if self._is_impatient(body):
            return self._impatient.send(method, path, body)
        return super().send(method, path, body)


def only_the_first() -> Callable[[bytes | None], bool]:
    """Return what is true of the first request alone."""
    remaining = [True]
    return lambda _: bool(remaining) and remaining.pop()


class Run:
    """Session, client, sender and delivery, connected as in the target."""

    def __init__(
        self,
        url: str,
        session: requests.Session | None = None,
        on_failure: Callable[[], None] | None = None,
        is_impatient: Callable[[bytes | None], bool] | None = None,
        **limits: Any,
    ) -> None:
        """Connect them.

        Args:
            url: The server.
            session: What sends the requests.
            on_failure: What is called when the delivery fails.
            is_impatient: Tells by its body if a request times out as the limits say;
                others have time. All time out alike unless it is given.
            limits: What differs from the usual limits, in which nothing is sent before
                a request is full or the input ends.
        """
        defaults = {
            "requests_per_second": 10_000,
            "request_timeout_seconds": PATIENCE,
            "max_retry_seconds": 10,
            "flush_interval_seconds": PATIENCE,
        }
        self.limits = Limits(**{**defaults, **limits})
        session = session or build_session("site", "key", self.limits.concurrency)
        client = Client(session, url, self.limits.request_timeout_seconds)
        if is_impatient is not None:
            client = ImpatientClient(
                session, url, self.limits.request_timeout_seconds, is_impatient
            )
        self.sender = Sender(client, self.limits)
        self.recorder = FakeRecorder()
        self.delivery = Delivery(self.sender, self.limits, self.recorder, on_failure)

    @property
    def holds_a_lock(self) -> bool:
        """Whether a lock of the delivery is held now."""
        delivery = self.delivery
        locks = (delivery._lock, delivery._recording_lock)  # noqa: SLF001
        return any(each.locked() for each in locks)

    def put(self, *operations: Operation) -> None:
        """Queue operations; as many as fit before the first of them is sent."""
        queued = []
        for each in operations:
            record = getattr(each, "name", None) or getattr(each, "delivery_id", None)
            if isinstance(each, (SegmentAdd, SegmentRemove)):
                record = (each.segment_id, each.identifiers["id"])
            queued.append(encode_operation(each, "stream", record))
        while queued:
            room = max(1, self.delivery.room)
            self.delivery.put(*queued[:room])
            del queued[:room]

    def deliver(self, *operations: Operation) -> None:
        """Put operations and a state, and drain."""
        self.put(*operations)
        self.delivery.checkpoint({"after": len(operations)})
        self.delivery.drain()

    def close(self) -> None:
        self.delivery.close(5)
        self.sender.close()
