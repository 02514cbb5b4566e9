"""When requests may start: the rate limit, how it adapts, and pauses."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from threading import Condition, Lock
from typing import TYPE_CHECKING, Final

from target_customerio.delivery.retries import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterator


class StoppedError(Exception):
    """The delivery has ended; no more requests are sent."""


_DECREASE: Final = 0.85
"""Share of the expected rate that is used right after a refusal."""

_EXPECTED: Final = 0.95
"""Share of a refused rate that the server is expected to admit."""

_EXPECTED_OF_FAR_TOO_FAST: Final = 0.6
"""The same for a rate that is refused soon, again and again."""

_SOON: Final = 1.0
"""Seconds after a decrease or the pause after it."""

_MEASURED_MARGIN: Final = 1.3
"""The server is expected to admit at most this many times what it admitted lately."""

_GROWTH_SECONDS: Final = 10.0
"""Seconds in which the rate doubles once it has passed the expected rate."""

_GROWTH_REQUESTS: Final = 10.0
"""At low rates the growth takes as long as this many requests more."""

_MAX_GROWTH_SECONDS: Final = 20.0
"""Seconds that the growth takes at very low rates."""

_LEVEL: Final = (1 - _DECREASE) ** (1 / 3)
"""Part of the growth time after which the expected rate is reached."""

_MAX_PAUSE_SECONDS: Final = 8.0
"""Longest pause of all connections that the server did not ask for."""

_MIN_RATE: Final = 1 / 60
"""Requests per second below which the rate never falls."""

_CATCH_UP_SECONDS: Final = 0.05
"""How late a request may start without delaying the ones after it."""


class Throttle:
    """Decides when a request may start. Has no clock and no threads.

    All times are monotonic seconds.

    **The limit.** At most ``requests_per_second`` requests arrive in any window of one
    second. The arrival time of a request is unknown; it is between the start of the
    request and its response. So a request takes one of the slots when it starts and
    returns it one second after its response. Proof: take the request of a window that
    started last; every other request that arrived in the window was in flight or had
    been answered less than a second before, so each held a slot of its own. (Limiters
    that count from the start of a request, such as pyrate-limiter, let too many arrive
    together when some were delayed on the way, for example by a TLS handshake.) A rate
    below 1 allows one request per 1/rate seconds.

    **The rate** falls when the server answers 429, and then requests start evenly
    spaced. It is raised again as in TCP CUBIC and in the adaptive mode of the AWS SDKs:
    back to just below the rate that was refused, level there, then faster and faster
    until the next refusal or the limit. Requests that were already in flight when the
    rate fell do not lower it again. Refusals before anything was admitted at the
    present rate only show that the server's window is long.

    **A pause** holds all requests back: for as long as ``Retry-After`` says, else with
    exponential backoff, which starts anew when a request is admitted.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Start at the limit, which may be fractional."""
        self._limit = requests_per_second
        self._slots = max(1, int(requests_per_second))
        self._window = 1 / min(1.0, requests_per_second)
        self.in_flight = 0
        self._answered: deque[float] = deque()
        self._paused_until = float("-inf")
        self._backoff = Backoff(_MAX_PAUSE_SECONDS)
        self._expected_rate: float | None = None
        """What the server is expected to admit; None while the limit alone holds."""
        self._refused_at = float("-inf")
        self._rises_from: float | None = None
        """When the first request started, or the last pause ended."""
        self._last_start = float("-inf")
        """When the last request started, or should have started."""
        self._admitted = 0
        """Requests admitted since the last decrease."""
        self._epoch_start = 0.0
        self._epoch_admitted = 0
        self._short_epochs = 1
        """Refusals in a row that came soon after the one before."""

    def rate(self, now: float) -> float:
        """Return the present rate in requests per second."""
        expected, since = self._expected_rate, self._rises_from
        if expected is None or since is None:
            return self._limit
        takes = min(_GROWTH_SECONDS + _GROWTH_REQUESTS / expected, _MAX_GROWTH_SECONDS)
        passed = max(0.0, now - since) / takes
        return min(self._limit, expected * (1 + (passed - _LEVEL) ** 3))

    def delay(self, now: float) -> float | None:
        """Return the seconds until a request may start; None: at the next response."""
        wait = max(self._paused_until, self._next_start(now)) - now
        if wait > 0:
            return wait
        answered = self._answered
        while answered and answered[0] + self._window < now:
            answered.popleft()
        if self.in_flight + len(answered) < self._slots:
            return 0
        if not answered:
            return None
        # Never 0, which means that a slot is free.
        return max(answered[0] + self._window - now, 0.0005)

    def start(self, now: float) -> None:
        """Count a request that starts."""
        self.in_flight += 1
        if self._rises_from is None:
            self._rises_from = now
        due = self._next_start(now)
        self._last_start = due if now - due <= _CATCH_UP_SECONDS else now
        if self.rate(now) >= self._limit:
            self._expected_rate = None

    def end(self, now: float) -> None:
        """Count a request that is answered or has failed."""
        self.in_flight -= 1
        self._answered.append(now)

    def admitted(self, started: float) -> None:
        """Note that a request, started then, was answered, and not with 429."""
        if started < self._refused_at:
            self._epoch_admitted += 1
        else:
            self._admitted += 1
            self._backoff.reset()

    def refused(
        self, started: float, now: float, retry_after: float | None, at_most: float
    ) -> float:
        """Lower the rate and pause, after a 429.

        Args:
            started: When the request started.
            now: When it was answered.
            retry_after: Seconds to wait, if the response says so.
            at_most: Maximum seconds to pause.

        Returns:
            The seconds until requests may start again.
        """
        if started < self._refused_at:  # sent before the latest refusal was known
            return self.pause(now, min(retry_after or 0.0, at_most))
        self._refused_at = now
        seconds = retry_after or 0.0
        backoff = self._backoff.next()
        if self._backoff.count > 1 or not seconds:
            seconds = max(seconds, backoff)
        # Requests are not held back for longer than this.
        waits = min(retry_after or 0.0, at_most)
        self._lower(now, waits, is_first=self._backoff.count == 1)
        return self.pause(now, min(seconds, at_most))

    def pause(self, now: float, seconds: float) -> float:
        """Start nothing for some seconds; returns how long the pause lasts."""
        if now + seconds > self._paused_until:
            self._paused_until = now + seconds
            if self._expected_rate is None:
                # Requests start one after the other afterwards.
                self._expected_rate = self._limit
            self._rises_from = self._paused_until
        return max(0.0, self._paused_until - now)

    def _next_start(self, now: float) -> float:
        """Return when the next request may start at the present rate."""
        if self._expected_rate is None:
            return float("-inf")
        return self._last_start + 1 / self.rate(now)

    def _lower(self, now: float, retry_after: float, *, is_first: bool) -> None:
        """Lower what the server is expected to admit, at the first refusal in a row.

        Further ones only show how long the server's window is.
        """
        expected = (
            self.rate(now) if self._expected_rate is None else self._expected_rate
        )
        if is_first:
            self._epoch_start = now if self._rises_from is None else self._rises_from
            self._epoch_admitted = self._admitted
            self._admitted = 0
            soon = now - self._epoch_start < _SOON
            self._short_epochs = self._short_epochs + 1 if soon else 0
            is_far_too_fast = self._short_epochs > 1
            share = _EXPECTED_OF_FAR_TOO_FAST if is_far_too_fast else _EXPECTED
            expected = self.rate(now) * share
        # Retry-After is rounded up to whole seconds.
        seconds = now - self._epoch_start + max(0.0, retry_after - 1)
        if self._epoch_admitted and seconds > 0:
            measured = self._epoch_admitted / seconds
            expected = min(expected, measured * _MEASURED_MARGIN)
        self._expected_rate = min(max(expected, _MIN_RATE), self._limit)
        self._rises_from = now


class Gate:
    """Lets the requests of several threads start as a :class:`Throttle` says.

    Requests start in the order in which they have been waiting.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Start open."""
        self._throttle = Throttle(requests_per_second)
        self._lock = Lock()
        self._waiting: deque[Condition] = deque()
        self._sleeping = Condition(self._lock)
        self._stopped = False
        self._waiting_since = 0.0
        self._seconds_waited = 0.0

    @property
    def seconds_throttled(self) -> float:
        """Seconds during which at least one connection waited to start."""
        with self._lock:
            current = time.monotonic() - self._waiting_since if self._waiting else 0.0
            return self._seconds_waited + current

    @property
    def in_flight(self) -> int:
        """Requests that have started and are not answered."""
        return self._throttle.in_flight

    @contextmanager
    def slot(self) -> Iterator[float]:
        """Wait for a slot and hold it during the block; yields the start time.

        Raises ``StoppedError``.
        """
        with self._lock:
            self._wait_for_turn()
            started = time.monotonic()
            self._throttle.start(started)
        try:
            yield started
        finally:
            with self._lock:
                self._throttle.end(time.monotonic())
                self._wake_first()

    def admitted(self, started: float) -> None:
        """Note that a request, started then, was answered, and not with 429."""
        with self._lock:
            self._throttle.admitted(started)

    def refused(
        self, started: float, retry_after: float | None, at_most: float
    ) -> float:
        """Lower the rate and pause, after a 429; returns the seconds of the pause."""
        with self._lock:
            now = time.monotonic()
            return self._throttle.refused(started, now, retry_after, at_most)

    def pause(self, seconds: float) -> float:
        """Start no request for some seconds; returns the seconds of the pause."""
        with self._lock:
            return self._throttle.pause(time.monotonic(), seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep; raises ``StoppedError`` as soon as the delivery ends."""
        with self._lock:
            if self._stopped or (
                seconds > 0 and self._sleeping.wait_for(lambda: self._stopped, seconds)
            ):
                raise StoppedError

    def stop(self) -> None:
        """Start no more requests and wake all waiting threads."""
        with self._lock:
            self._stopped = True
            self._sleeping.notify_all()
            for each in self._waiting:
                each.notify()

    def _wait_for_turn(self) -> None:
        if self._stopped:
            raise StoppedError
        if not self._waiting:
            if self._throttle.delay(time.monotonic()) == 0:
                return
            self._waiting_since = time.monotonic()
        turn = Condition(self._lock)
        self._waiting.append(turn)
        try:
            while (delay := self._delay(turn)) != 0:
                turn.wait(delay)
        finally:
            self._waiting.remove(turn)
            if not self._waiting:
                self._seconds_waited += time.monotonic() - self._waiting_since
            self._wake_first()

    def _delay(self, turn: Condition) -> float | None:
        """Seconds to wait; None means until woken."""
        if self._stopped:
            raise StoppedError
        if self._waiting[0] is not turn:
            return None
        return self._throttle.delay(time.monotonic())

    def _wake_first(self) -> None:
        if self._waiting:
            self._waiting[0].notify()
