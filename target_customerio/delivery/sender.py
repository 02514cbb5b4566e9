"""Requests tried until Customer.io has decided on every operation in them."""

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
from target_customerio.track_api.client import Unanswered
from target_customerio.track_api.responses import (
    Delivered,
    Fatal,
    NotThere,
    PartlyRejected,
    RetryAfter,
    WholeRequestRefused,
    classify,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from target_customerio.delivery.lane import QueuedOperation
    from target_customerio.delivery.worker import Ledger
    from target_customerio.track_api.client import Client
    from target_customerio.track_api.endpoints import Limits, Route
    from target_customerio.track_api.responses import Answer, Outcome

    Decision: TypeAlias = Delivered | PartlyRejected | WholeRequestRefused

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    body: bytes | None = None
    size: int = 0
    """The number of operations in it."""

    @classmethod
    def of(cls, operations: Sequence[QueuedOperation]) -> _Request:
        route = operations[0].route
        body = route.body([operation.body for operation in operations])
        return cls("POST", route.path, body, len(operations))


class Sender:
    """Sends requests for any number of threads, within the limits."""

    def __init__(self, client: Client, limits: Limits) -> None:
        """Send nothing yet.

        Args:
            client: Carries single requests.
            limits: How often, and for how long.
        """
        self._client = client
        self._limits = limits
        self._throttle = Throttle(limits.requests_per_second)
        self._counting = Lock()
        self._requests = 0
        self._retries = 0
        self._bytes_sent = 0
        self._has_accepted = False
        """Whether Customer.io has accepted an operation, so that `api_url` is right."""

    @property
    def statistics(self) -> Statistics:
        """What has been sent so far."""
        with self._counting:
            return Statistics(
                self._requests,
                self._retries,
                self._bytes_sent,
                self._throttle.seconds_throttled,
            )

    def check_account(self, region: str) -> int | None:
        """Ask Customer.io whether the credentials and the region are right.

        Args:
            region: The region that the settings name.

        Returns:
            The number of the workspace, if Customer.io tells it.

        Raises:
            TargetError: When they are not, or there is no telling.
        """
        answers: list[Answer] = []

        def judge(answer: Answer, _operations: int) -> Outcome:
            answers.append(answer)
            return client.judge(answer, region)

        self._decide(_Request("GET", client.PATH), judge)
        return client.workspace_of(answers[-1])

    def deliver(self, operations: Sequence[QueuedOperation], ledger: Ledger) -> None:
        """Send operations of one route until each is delivered or rejected.

        When Customer.io refuses them all because of some, they are halved, and the
        first half is decided on before the second one is sent. Changes of a segment
        that does not exist are all rejected.

        Args:
            operations: What to send, in order.
            ledger: Told what becomes of each.

        Raises:
            TargetError: When nothing more can be delivered.
            Stopped: When nothing more is to be sent.
        """
        judge = partial(self._judge, operations[0].route)
        parts = [operations]
        while parts:
            part = parts.pop()
            outcome = self._decide(_Request.of(part), judge)
            if not isinstance(outcome, WholeRequestRefused):
                _account_for(part, outcome, ledger)
            elif len(part) == 1:
                ledger.rejected(part[0], outcome.error)
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]

    def stop(self) -> None:
        """Send nothing more; requests that are under way come to their end."""
        self._throttle.stop()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _judge(self, route: Route, answer: Answer, size: int) -> Outcome:
        """Tell what an answer means, given its route and what came before it."""
        outcome = classify(answer, size)
        if isinstance(outcome, NotThere):
            if route.names_segment:
                return outcome.rejection(size)
            return outcome.failure() if self._has_accepted else outcome.end()
        if isinstance(outcome, Delivered) or (
            isinstance(outcome, PartlyRejected) and len(outcome.errors) < size
        ):
            self._has_accepted = True
        return outcome

    def _decide(
        self, request: _Request, judge: Callable[[Answer, int], Outcome]
    ) -> Decision:
        """Send one request until Customer.io has decided on it."""
        patience = Patience(self._limits.max_retry_seconds)
        while True:
            outcome = self._try(request, judge, patience)
            if isinstance(outcome, Fatal):
                raise outcome.error
            if not isinstance(outcome, RetryAfter):
                return outcome
            self._wait(request, outcome, patience)

    def _try(
        self,
        request: _Request,
        judge: Callable[[Answer, int], Outcome],
        patience: Patience,
    ) -> Outcome:
        with self._throttle.place(patience.deadline):
            self._count(request, again=patience.failures > 0)
            try:
                answer = self._client.exchange(
                    request.method, request.path, request.body
                )
            except Unanswered as unanswered:
                return RetryAfter(None, shared=False, why=str(unanswered))
        return judge(answer, request.size)

    def _wait(self, request: _Request, failure: RetryAfter, patience: Patience) -> None:
        seconds = patience.wait(failure.seconds)
        if seconds is None:
            raise _undelivered(request, failure, patience)
        logger.warning(
            "A request to Customer.io %s; trying again in %.1f seconds (failure %d)",
            failure.why,
            seconds,
            patience.failures,
        )
        if failure.shared:
            self._throttle.pause(seconds)  # this one too waits for its turn there
        else:
            self._throttle.rest(seconds)

    def _count(self, request: _Request, *, again: bool) -> None:
        with self._counting:
            self._requests += 1
            self._retries += again
            self._bytes_sent += len(request.body or b"")


def _account_for(
    operations: Sequence[QueuedOperation],
    outcome: Delivered | PartlyRejected,
    ledger: Ledger,
) -> None:
    if isinstance(outcome, Delivered):
        ledger.delivered(operations)
        return
    if outcome.strays:
        logger.warning(
            "Customer.io reported %d errors that name no operation of the request",
            outcome.strays,
        )
    errors = outcome.errors
    ledger.delivered(
        [each for index, each in enumerate(operations) if index not in errors]
    )
    for index in sorted(errors):
        ledger.rejected(operations[index], errors[index])


def _undelivered(
    request: _Request, failure: RetryAfter, patience: Patience
) -> DeliveryError:
    tried = (
        f"after {patience.failures} tries in {patience.seconds_spent:.0f} seconds; the"
        f" last one {failure.why}."
    )
    if not request.size:
        return DeliveryError(f"Customer.io could not be asked for the region {tried}")
    return DeliveryError(
        f"{request.size} operations could not be delivered {tried} No STATE was"
        " written for them."
    )


_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Patience:
    """The waits between the tries of one request.

    They grow exponentially, with full jitter, and are never shorter than Customer.io
    asks for. All waits together end with the deadline, which is set at the first
    failure: a wait that would pass it is cut short for one last try.
    """

    def __init__(self, seconds: float) -> None:
        """Start with all patience.

        Args:
            seconds: How long after its first failure a request is tried again.
        """
        self._seconds = seconds
        self._ceilings = backoff.expo(factor=_FIRST_SECONDS, max_value=_LONGEST_SECONDS)
        next(self._ceilings)  # what a generator of backoff's yields before the first
        self.deadline: float | None = None
        self.failures = 0

    def wait(self, asked_for: float | None) -> float | None:
        """Tell how long to wait after a failure.

        Args:
            asked_for: How long Customer.io wants at least, if it says.

        Returns:
            Seconds, or ``None`` when it is time to give up.
        """
        now = time.monotonic()
        self.failures += 1
        if self.deadline is None:
            self.deadline = now + self._seconds
        if now >= self.deadline:
            return None
        wanted = max(backoff.full_jitter(next(self._ceilings)), asked_for or 0.0)
        return min(wanted, self.deadline - now)

    @property
    def seconds_spent(self) -> float:
        """The time since the first failure."""
        if self.deadline is None:
            return 0.0
        return time.monotonic() - (self.deadline - self._seconds)


@dataclass(frozen=True)
class Statistics:
    """Counts over all connections.

    Attributes:
        requests: Requests sent, tries again included.
        retries: How many of them had been sent before.
        bytes_sent: Bytes of their bodies.
        seconds_throttled: Time during which at least one connection was held back by
            the rate limit or at Customer.io's request.
    """

    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    seconds_throttled: float = 0.0
