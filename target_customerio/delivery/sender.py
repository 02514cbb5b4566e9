"""Sends requests and retries them until Customer.io decides on every operation."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import backoff

from target_customerio.delivery.throttle import Throttle
from target_customerio.errors import DeliveryError
from target_customerio.track_api import client
from target_customerio.track_api.client import NoResponse
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

    from target_customerio.delivery.request import QueuedOperation
    from target_customerio.errors import RejectedRecord
    from target_customerio.track_api.client import Client
    from target_customerio.track_api.endpoints import Endpoint, Limits
    from target_customerio.track_api.responses import Outcome, Response

    Decision: TypeAlias = Delivered | PartlyRejected | RequestRefused

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Operations whose outcome is known."""

    delivered: Sequence[QueuedOperation] = ()
    rejected: Sequence[tuple[QueuedOperation, RejectedRecord]] = ()


@dataclass(frozen=True)
class RequestStatistics:
    """Totals over all connections.

    Attributes:
        requests: Requests sent, retries included.
        retries: Requests that had been sent before.
        bytes_sent: Bytes of request bodies.
        seconds_throttled: Seconds during which at least one connection waited for the
            rate limit or for a pause that Customer.io asked for.
    """

    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds_throttled: float = 0.0


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


class Sender:
    """Sends requests within the limits; may be used by several threads."""

    def __init__(self, client: Client, limits: Limits) -> None:
        """Send nothing yet."""
        self._client = client
        self._limits = limits
        self._throttle = Throttle(limits.requests_per_second)
        self._statistics_lock = Lock()
        self._requests = 0
        self._retries = 0
        self._bytes_sent = 0
        self._has_accepted = False
        """Whether Customer.io has accepted an operation, so `api_url` is correct."""

    @property
    def statistics(self) -> RequestStatistics:
        """Totals so far."""
        with self._statistics_lock:
            return RequestStatistics(
                self._requests,
                self._retries,
                self._bytes_sent,
                self._throttle.seconds_throttled,
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

        self._decide(_Request("GET", client.REGION_PATH), classify_region)
        return client.environment_id(responses[-1])

    def deliver(self, operations: Sequence[QueuedOperation]) -> Iterator[Result]:
        """Send operations of one endpoint and yield results, in order.

        A request that Customer.io refuses as a whole is split in halves; the first half
        is decided before the second is sent. So are the operations of a request that
        errors leave undecided.

        Args:
            operations: Operations of one endpoint, in order.

        Yields:
            The result of some of the operations; each operation is in one result.

        Raises:
            TargetError: Nothing more can be delivered.
            Stopped: The delivery has ended.
        """
        classify_response = partial(self._classify, operations[0].endpoint)
        parts = [operations]
        while parts:
            part = parts.pop()
            outcome = self._decide(_Request.of(part), classify_response)
            undecided: Sequence[QueuedOperation] = ()
            if not isinstance(outcome, RequestRefused):
                result, undecided = _result(part, outcome)
                yield result
            elif len(part) == 1:
                yield Result(rejected=[(part[0], outcome.error)])
            else:
                undecided = part
            middle = len(undecided) // 2
            parts += filter(None, [undecided[middle:], undecided[:middle]])

    def stop(self) -> None:
        """Send nothing more; requests in flight finish."""
        self._throttle.stop()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _classify(self, endpoint: Endpoint, response: Response, size: int) -> Outcome:
        """Classify a response, given its endpoint and what was accepted before."""
        outcome = classify(response, size)
        if isinstance(outcome, UnknownPath):
            if endpoint.has_segment:
                return outcome.rejection(size)
            return outcome.retry() if self._has_accepted else outcome.fatal()
        if isinstance(outcome, Delivered) or (
            isinstance(outcome, PartlyRejected)
            and not outcome.unassigned
            and len(outcome.errors) < size
        ):
            self._has_accepted = True
        return outcome

    def _decide(
        self, request: _Request, classify_response: Callable[[Response, int], Outcome]
    ) -> Decision:
        """Send one request, with retries, until Customer.io has decided on it."""
        retries = RetrySchedule(self._limits.max_retry_seconds)
        while True:
            outcome = self._send(request, classify_response, retries)
            if isinstance(outcome, Fatal):
                raise outcome.error
            if not isinstance(outcome, Retry):
                return outcome
            self._wait(request, outcome, retries)

    def _send(
        self,
        request: _Request,
        classify_response: Callable[[Response, int], Outcome],
        retries: RetrySchedule,
    ) -> Outcome:
        with self._throttle.slot(retries.deadline):
            self._count(request, is_retry=retries.failures > 0)
            try:
                response = self._client.send(request.method, request.path, request.body)
            except NoResponse as error:
                return Retry(None, shared=False, reason=str(error))
        return classify_response(response, request.size)

    def _wait(self, request: _Request, outcome: Retry, retries: RetrySchedule) -> None:
        """Wait before the next retry; raises DeliveryError after the last one."""
        seconds = retries.wait_seconds(outcome.seconds)
        if seconds is None:
            raise _undelivered(request, outcome, retries)
        logger.warning(
            "Request to Customer.io %s; retrying in %.1f s (failure %d)",
            outcome.reason,
            seconds,
            retries.failures,
        )
        if outcome.shared:
            self._throttle.pause(seconds)  # applies to this request's retry as well
        else:
            self._throttle.sleep(seconds)

    def _count(self, request: _Request, *, is_retry: bool) -> None:
        with self._statistics_lock:
            self._requests += 1
            self._retries += is_retry
            self._bytes_sent += len(request.body or b"")


def _result(
    operations: Sequence[QueuedOperation], outcome: Delivered | PartlyRejected
) -> tuple[Result, Sequence[QueuedOperation]]:
    """Return what is decided, and the operations that are not."""
    if isinstance(outcome, Delivered):
        return Result(delivered=operations), ()
    errors = outcome.errors
    others = [each for index, each in enumerate(operations) if index not in errors]
    rejected = [(operations[index], errors[index]) for index in sorted(errors)]
    if not outcome.unassigned:
        return Result(others, rejected), ()
    logger.warning(
        "Response does not name all operations at fault; sending %d operations again",
        len(others),
    )
    return Result(rejected=rejected), others


def _undelivered(
    request: _Request, outcome: Retry, retries: RetrySchedule
) -> DeliveryError:
    attempts = (
        f"after {retries.failures} attempts in {retries.seconds_spent:.0f} s (the last "
        f"request {outcome.reason})"
    )
    if not request.size:
        return DeliveryError(
            f"Region check failed {attempts}: check the network, and `api_url` if set"
        )
    return DeliveryError(
        f"{request.size} operations could not be delivered {attempts}; no STATE was"
        " written for them, so the tap sends them again in the next run"
    )


_FIRST_WAIT_SECONDS = 1.0
_MAX_WAIT_SECONDS = 60.0


class RetrySchedule:
    """Wait times between the attempts of one request.

    Exponential backoff with full jitter, never shorter than ``Retry-After``. The
    deadline is set at the first failure; a wait that would pass it is shortened, for
    one last attempt.
    """

    def __init__(self, max_seconds: float) -> None:
        """Allow retries for ``max_seconds`` after the first failure."""
        self._max_seconds = max_seconds
        self._backoff = backoff.expo(
            factor=_FIRST_WAIT_SECONDS, max_value=_MAX_WAIT_SECONDS
        )
        next(self._backoff)  # backoff's generators yield None first
        self.deadline: float | None = None
        self.failures = 0

    def wait_seconds(self, retry_after: float | None) -> float | None:
        """Count a failure and return the seconds to wait; None to give up."""
        now = time.monotonic()
        self.failures += 1
        if self.deadline is None:
            self.deadline = now + self._max_seconds
        if now >= self.deadline:
            return None
        seconds = max(backoff.full_jitter(next(self._backoff)), retry_after or 0.0)
        return min(seconds, self.deadline - now)

    @property
    def seconds_spent(self) -> float:
        """Seconds since the first failure."""
        if self.deadline is None:
            return 0.0
        return time.monotonic() - (self.deadline - self._max_seconds)
