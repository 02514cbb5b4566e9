"""How long, and how often, one request is tried again."""

from __future__ import annotations

import time

import backoff

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
