"""How often, how long and in what parts a request is tried again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_customerio.delivery.queued_operation import QueuedOperation
    from target_customerio.track_api.responses import Retry


_FIRST_WAIT_SECONDS: Final = 1.0
_MAX_WAIT_SECONDS: Final = 60.0

_MAX_WAIT_SHARE: Final = 0.1
"""Share of `max_retry_seconds` that a wait takes at most: several attempts fit in."""

FAILURES_BEFORE_SPLIT: Final = 5
"""Failures, while others are accepted, after which an operation may be at fault."""


class Backoff:
    """Waits that grow exponentially, with full jitter."""

    def __init__(self, max_seconds: float = _MAX_WAIT_SECONDS) -> None:
        """Start with the shortest wait."""
        self._max_seconds = max_seconds
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self.count = 0
        """Waits so far."""
        self._waits = backoff.expo(
            factor=_FIRST_WAIT_SECONDS, max_value=self._max_seconds
        )
        next(self._waits)  # backoff's generators yield None first

    def next(self) -> float:
        """Return the next wait in seconds."""
        self.count += 1
        return float(backoff.full_jitter(next(self._waits)))


class RetryBudget:
    """How long the run goes on although Customer.io accepts nothing.

    Counts from the first failure after the last decision on any request.
    """

    def __init__(self, max_seconds: float) -> None:
        """Wait for ``max_seconds`` (``max_retry_seconds``)."""
        self.max_seconds = max_seconds
        self.accepted = 0
        """Requests of which at least one operation was accepted."""
        self._failing_since: float | None = None

    def decided(self, *, accepted: bool) -> None:
        """Count a request that Customer.io has decided on."""
        self.accepted += accepted
        self._failing_since = None

    def failed(self, now: float) -> None:
        """Count a request without a decision."""
        if self._failing_since is None:
            self._failing_since = now

    def left(self, now: float) -> float:
        """Seconds that are left, at least 0."""
        if self._failing_since is None:
            return self.max_seconds
        return max(0.0, self._failing_since + self.max_seconds - now)


class Verdict(Enum):
    """What follows a failure other than a retry."""

    REJECT = "the operation is at fault"
    END_RUN = "Customer.io accepts nothing"


class Attempts:
    """The attempts to send one request.

    A 429 says nothing about the operations, so it only uses up the run's retry budget.
    """

    def __init__(
        self,
        retry_budget: RetryBudget,
        size: int,
        accepted_before: int,
        accepted_when_failing: int | None = None,
    ) -> None:
        """Count from the first attempt.

        Args:
            retry_budget: What all requests of the run share.
            size: Number of operations.
            accepted_before: Requests accepted before the operations were first sent;
                of a part of a failing request, before it became a part.
            accepted_when_failing: Requests accepted when a request that contained the
                operations was found to be failing; None if none was.
        """
        self.failures = 0
        self._first_failure = 0.0
        self._retry_budget = retry_budget
        self._size = size
        self._accepted_before = accepted_before
        longest = min(_MAX_WAIT_SECONDS, _MAX_WAIT_SHARE * retry_budget.max_seconds)
        self._backoff = Backoff(longest)
        self._own_failures = 0
        """Failures that may be due to the operations."""
        self._first_own_failure = 0.0
        self.is_part_of_failing = accepted_when_failing is not None
        """Whether a request that contained the operations was failing."""
        self._accepted_when_failing = accepted_when_failing or 0

    @property
    def is_failing(self) -> bool:
        """Whether the operations may be at fault: others are accepted.

        In a part of a failing request, two failures suffice.
        """
        enough = 2 if self.is_part_of_failing else FAILURES_BEFORE_SPLIT
        accepted = self._retry_budget.accepted
        return self._own_failures >= enough and accepted > self._accepted_before

    def part(self, size: int) -> Attempts:
        """Return the attempts to send some of the operations in a request."""
        if not (self.is_part_of_failing or self.is_failing):
            return Attempts(self._retry_budget, size, self._accepted_before)
        # Whether the other parts are accepted shows what is at fault.
        accepted = self._retry_budget.accepted
        return Attempts(self._retry_budget, size, accepted, self._accepted_when_failing)

    def seconds(self, now: float) -> float:
        """Seconds since the first failure."""
        return now - self._first_failure if self.failures else 0.0

    def failed(self, now: float, outcome: Retry) -> float | Verdict:
        """Count a failure.

        Args:
            now: Monotonic time in seconds.
            outcome: What the failure was.

        Returns:
            Seconds to wait before the next attempt, or what follows instead.
        """
        if not self.failures:
            self._first_failure = now
        self.failures += 1
        self._retry_budget.failed(now)
        left = self._retry_budget.left(now)
        if not outcome.rate_limited:
            self._count_own_failure(now)
            if self._is_at_fault:
                left = self._first_own_failure + self._retry_budget.max_seconds - now
                if left <= 0:
                    return Verdict.REJECT
        if left <= 0:
            return Verdict.END_RUN
        if outcome.rate_limited:
            return 0.0  # the gate holds all requests back
        return min(max(self._backoff.next(), outcome.seconds or 0.0), left)

    def _count_own_failure(self, now: float) -> None:
        accepted = self._retry_budget.accepted
        if not self._own_failures:
            self._first_own_failure = now
        self._own_failures += 1
        if not self.is_part_of_failing and self._own_failures <= FAILURES_BEFORE_SPLIT:
            self._accepted_when_failing = accepted

    @property
    def _is_at_fault(self) -> bool:
        """Whether this is one operation that keeps failing while others are accepted.

        Others have to be accepted after it has failed several times, whether in this
        request or in larger ones: in an outage, requests that are in flight when it
        begins may still be accepted.
        """
        return (
            self._size == 1
            and self._retry_budget.accepted > self._accepted_when_failing
        )


@dataclass
class Part:
    """Operations that are sent in one request."""

    operations: Sequence[QueuedOperation]
    attempts: Attempts
    due: float = 0.0
    """Monotonic time of the next attempt."""


class UndecidedOperations:
    """What is left of a request, in parts that are sent one after the other.

    Operations that share a key keep their order.
    """

    def __init__(
        self, operations: Sequence[QueuedOperation], retry_budget: RetryBudget
    ) -> None:
        """Start with one part.

        Args:
            operations: Operations of one endpoint, in order.
            retry_budget: What all requests of the run share.
        """
        attempts = Attempts(retry_budget, len(operations), retry_budget.accepted)
        self._parts = deque([Part(operations, attempts)])

    def __len__(self) -> int:
        """Number of operations."""
        return sum(len(each.operations) for each in self._parts)

    def pop(self) -> Part:
        """Remove and return the part to send next."""
        return self._parts.popleft()

    def halve(self, operations: Sequence[QueuedOperation], attempts: Attempts) -> None:
        """Send operations next, in two parts, after attempts to send them in one."""
        middle = len(operations) // 2
        for half in (operations[middle:], operations[:middle]):
            if half:
                self._parts.appendleft(Part(half, attempts.part(len(half))))

    def retry(self, part: Part) -> None:
        """Put a part back that has failed.

        A failing part is halved. What is left of a failing request is retried after
        all others that do not depend on it: whether they are accepted shows what is at
        fault.
        """
        attempts = part.attempts
        if attempts.is_failing and len(part.operations) > 1:
            self.halve(part.operations, attempts)
        elif attempts.is_failing or attempts.is_part_of_failing:
            self._set_aside(part)
        else:
            self._parts.appendleft(part)

    def _set_aside(self, part: Part) -> None:
        keys = set().union(*map(_keys, part.operations))
        independent: list[Part] = []
        dependent = [part]
        for each in self._parts:
            free, held = _divide(each.operations, keys)
            if free and held:
                independent.append(Part(free, each.attempts.part(len(free))))
                dependent.append(Part(held, each.attempts.part(len(held))))
            else:
                (dependent if held else independent).append(each)
        self._parts = deque(independent + dependent)


def _divide(
    operations: Sequence[QueuedOperation], keys: set[str]
) -> tuple[list[QueuedOperation], list[QueuedOperation]]:
    """Divide into operations that may go first, and those that depend on the keys.

    Adds the keys of the latter, since others depend on these in turn.
    """
    free: list[QueuedOperation] = []
    held: list[QueuedOperation] = []
    for each in operations:
        own = _keys(each)
        if keys.isdisjoint(own):
            free.append(each)
        else:
            held.append(each)
            keys |= own
    return free, held


def _keys(operation: QueuedOperation) -> set[str]:
    return {*operation.keys, *operation.shared}
