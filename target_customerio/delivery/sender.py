"""Sends requests and retries them until Customer.io decides on every operation."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias

from target_customerio.delivery.retries import (
    Attempts,
    RetryBudget,
    UndecidedOperations,
    Verdict,
)
from target_customerio.delivery.throttle import Gate
from target_customerio.errors import DeliveryError, RejectedRecord, UndeliveredError
from target_customerio.track_api import client
from target_customerio.track_api.client import NoResponseError
from target_customerio.track_api.responses import (
    Delivered,
    Fatal,
    PartlyRejected,
    RequestRefused,
    Retry,
    UnknownPath,
    classify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.delivery.retries import Part
    from target_customerio.track_api.client import Client
    from target_customerio.track_api.endpoints import Endpoint, Limits
    from target_customerio.track_api.responses import Outcome, Response

    _Decision: TypeAlias = Delivered | PartlyRejected | RequestRefused

logger = logging.getLogger(__name__)

UNDELIVERABLE: Final = "undeliverable"


@dataclass(frozen=True)
class Result:
    """Operations whose outcome is known."""

    delivered: Sequence[QueuedOperation] = ()
    rejected: Sequence[tuple[QueuedOperation, RejectedRecord]] = ()
    repeated: Sequence[QueuedOperation] = ()
    """Events that a sandbox dropped, since it had received them before."""


@dataclass(frozen=True)
class RequestStatistics:
    """Totals over all connections.

    Attributes:
        requests: Requests sent, retries included.
        retries: Requests that had been sent before.
        bytes_sent: Bytes of request bodies.
        seconds_throttled: Seconds during which at least one connection waited for the
            rate limit or for a pause that Customer.io asked for.
        in_flight: Requests without an answer so far.
    """

    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds_throttled: float = 0.0
    in_flight: int = 0


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: bytes | None = None
    size: int = 0
    """Number of operations."""

    @classmethod
    def of(cls, operations: Sequence[QueuedOperation]) -> _Request:
        endpoint = operations[0].endpoint
        body = endpoint.body([operation.body for operation in operations])
        return cls("POST", endpoint.path, body, len(operations))


@dataclass(frozen=True)
class _Failure:
    """An attempt without a decision; its text follows "could not be delivered"."""

    outcome: Retry
    next_step: float | Verdict
    """Seconds to wait before the next attempt, or what follows instead."""
    attempts: int
    seconds: float
    """Seconds since the first failure."""

    def __str__(self) -> str:
        return (
            f"after {self.attempts} attempt{'' if self.attempts == 1 else 's'} in "
            f"{self.seconds:.0f} s (the last request {self.outcome.reason})"
        )

    def rejection(self) -> RejectedRecord:
        message = (
            f"Customer.io accepted other operations, but not this one {self}: correct"
            " the record, or load it again later"
        )
        return RejectedRecord(UNDELIVERABLE, "", message)


class Sender:
    """Sends requests within the limits; may be used by several threads."""

    def __init__(self, client: Client, limits: Limits) -> None:
        """Send nothing yet."""
        self._client = client
        self._gate = Gate(limits.requests_per_second)
        self._lock = Lock()
        self._retry_budget = RetryBudget(limits.max_retry_seconds)
        self._requests = 0
        self._retries = 0
        self._bytes_sent = 0

    @property
    def statistics(self) -> RequestStatistics:
        """Totals so far."""
        with self._lock:
            return RequestStatistics(
                self._requests,
                self._retries,
                self._bytes_sent,
                self._gate.seconds_throttled,
                self._gate.in_flight,
            )

    def check_account(self, region: str) -> int | None:
        """Check the credentials and the region before the first record is sent.

        Args:
            region: The configured region, ``us`` or ``eu``.

        Returns:
            The workspace's ``environment_id``; None if the response lacks it.

        Raises:
            TargetError: The credentials or the region are wrong, or Customer.io did not
                respond in time.
        """
        responses: list[Response] = []

        def classify_region(response: Response, _size: int) -> Outcome:
            responses.append(response)
            return client.classify_region(response, region)

        request = _Request("GET", client.REGION_PATH)
        attempts = Attempts(self._retry_budget, 0, 0)
        while isinstance(
            outcome := self._send(request, attempts, classify_region), _Failure
        ):
            if isinstance(outcome.next_step, Verdict):
                message = f"Region check failed {outcome}: check the network, whether"
                raise DeliveryError(
                    f"{message} Customer.io is available, and `api_url` if set"
                )
            self._gate.sleep(outcome.next_step)
        return client.environment_id(responses[-1])

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        """Send operations of one endpoint and yield results.

        A request that Customer.io refuses as a whole is split in halves; the first half
        is decided before the second is sent. So are the operations of a request that
        errors leave undecided, and a request that keeps failing while others are
        accepted. An operation that keeps failing alone is rejected in the end.
        Operations that share a key keep their order.

        Args:
            operations: Operations of one endpoint, in order.

        Yields:
            The result of some of the operations; each operation is in one result.

        Raises:
            TargetError: Nothing more can be delivered.
            StoppedError: The delivery has ended.
        """
        classify_response = partial(self._classify, operations[0].endpoint)
        undecided = UndecidedOperations(operations, self._retry_budget)
        while undecided:
            part = undecided.pop()
            self._gate.sleep(part.due - time.monotonic())
            request = _Request.of(part.operations)
            outcome = self._send(request, part.attempts, classify_response)
            if isinstance(outcome, _Failure):
                yield from self._retry(undecided, part, outcome)
            else:
                result, rest = _result(part.operations, outcome)
                yield result
                undecided.halve(rest, part.attempts)

    def stop(self) -> None:
        """Send nothing more; requests in flight finish."""
        self._gate.stop()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _classify(self, endpoint: Endpoint, response: Response, size: int) -> Outcome:
        """Classify a response, given its endpoint and what was accepted before."""
        outcome = classify(response, size)
        if not isinstance(outcome, UnknownPath):
            return outcome
        if endpoint.has_segment:
            return outcome.rejection(size)
        return outcome.retry() if self._retry_budget.accepted else outcome.fatal()

    def _send(
        self,
        request: _Request,
        attempts: Attempts,
        classify_response: Callable[[Response, int], Outcome],
    ) -> _Decision | _Failure:
        """Send a request once."""
        with self._gate.slot() as started:
            self._count(request, is_retry=attempts.failures > 0)
            try:
                response = self._client.send(request.method, request.path, request.body)
            except NoResponseError as error:
                outcome: Outcome = Retry(str(error))
            else:
                outcome = classify_response(response, request.size)
            if isinstance(outcome, Fatal):
                raise outcome.error
            # Still holding the slot, so that nothing starts before a pause.
            if isinstance(outcome, Retry):
                return self._failed(attempts, outcome, started)
            self._decided(request, outcome, started)
            return outcome

    def _decided(self, request: _Request, outcome: _Decision, started: float) -> None:
        accepted = isinstance(outcome, Delivered) or (
            isinstance(outcome, PartlyRejected)
            and not outcome.unassigned
            and len(outcome.errors) < request.size
        )
        with self._lock:
            self._retry_budget.decided(accepted=accepted and request.size > 0)
        self._gate.admitted(started)

    def _failed(self, attempts: Attempts, outcome: Retry, started: float) -> _Failure:
        now = time.monotonic()
        with self._lock:
            next_step = attempts.failed(now, outcome)
            left = self._retry_budget.left(now)
        failure = _Failure(outcome, next_step, attempts.failures, attempts.seconds(now))
        if isinstance(next_step, Verdict):
            return failure
        seconds = next_step
        if outcome.rate_limited:
            seconds = self._gate.refused(started, outcome.seconds, left)
        elif outcome.seconds is not None:
            self._gate.pause(min(outcome.seconds, left))
        logger.warning(
            "Request to Customer.io %s; retrying in %.1f s (failure %d)",
            outcome.reason,
            seconds,
            attempts.failures,
        )
        return failure

    def _retry(
        self, undecided: UndecidedOperations, part: Part, failure: _Failure
    ) -> Iterator[Result]:
        """Put a part back after a failure, or reject it; raises if the run ends."""
        if failure.next_step is Verdict.END_RUN:
            count = len(part.operations) + len(undecided)
            what = "1 operation" if count == 1 else f"{count:,} operations"
            raise UndeliveredError(f"{what} could not be delivered {failure}")
        if failure.next_step is Verdict.REJECT:
            (operation,) = part.operations
            yield Result(rejected=[(operation, failure.rejection())])
        else:
            part.due = time.monotonic() + failure.next_step
            undecided.retry(part)

    def _count(self, request: _Request, *, is_retry: bool) -> None:
        with self._lock:
            self._requests += 1
            self._retries += is_retry
            self._bytes_sent += len(request.body or b"")


def _result(
    operations: Sequence[QueuedOperation], outcome: _Decision
) -> tuple[Result, Sequence[QueuedOperation]]:
    """Return what is decided, and the operations that are not."""
    if isinstance(outcome, Delivered) and not outcome.repeats:
        return Result(delivered=operations), ()
    if isinstance(outcome, RequestRefused):
        if len(operations) > 1:
            return Result(), operations
        return Result(rejected=[(operations[0], outcome.error)]), ()
    errors = {} if isinstance(outcome, Delivered) else outcome.errors
    repeated = [operations[index] for index in sorted(outcome.repeats)]
    not_others = outcome.repeats | errors.keys()
    others = [each for index, each in enumerate(operations) if index not in not_others]
    rejected = [(operations[index], errors[index]) for index in sorted(errors)]
    if isinstance(outcome, Delivered) or not outcome.unassigned:
        return Result(others, rejected, repeated), ()
    logger.warning(
        "Response does not name all operations at fault; sending %d operations again",
        len(others),
    )
    return Result(rejected=rejected), others
