"""A delivery with any transport, and a recorder that remembers results."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

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

    import requests

    from target_customerio.errors import RejectedRecord


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


class Run:
    """Session, client, sender and delivery, connected as in the target."""

    def __init__(
        self,
        url: str,
        session: requests.Session | None = None,
        on_failure: Callable[[], None] | None = None,
        **limits: Any,
    ) -> None:
        defaults = {
            "requests_per_second": 10_000,
            "request_timeout_seconds": 0.4,
            "max_retry_seconds": 10,
            "flush_interval_seconds": 0.5,
        }
        self.limits = Limits(**{**defaults, **limits})
        session = session or build_session("site", "key", self.limits.concurrency)
        self.sender = Sender(
            Client(session, url, self.limits.request_timeout_seconds), self.limits
        )
        self.recorder = FakeRecorder()
        self.delivery = Delivery(self.sender, self.limits, self.recorder, on_failure)

    @property
    def holds_a_lock(self) -> bool:
        """Whether a lock of the delivery is held now."""
        delivery = self.delivery
        locks = (delivery._lock, delivery._recording_lock)  # noqa: SLF001
        return any(each.locked() for each in locks)

    def put(self, *operations: Operation) -> None:
        for each in operations:
            record = getattr(each, "name", None) or getattr(each, "delivery_id", None)
            if isinstance(each, (SegmentAdd, SegmentRemove)):
                record = (each.segment_id, each.identifiers["id"])
            self.delivery.put(encode_operation(each, "stream", record))

    def deliver(self, *operations: Operation) -> None:
        """Put operations and a state, and drain."""
        self.put(*operations)
        self.delivery.checkpoint({"after": len(operations)})
        self.delivery.drain()

    def close(self) -> None:
        self.delivery.close(5)
        self.sender.close()
