"""Rate limit over all connections."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopped(Exception):  # noqa: N818 - not an error
    """The delivery has ended; no more requests are sent."""


class Throttle:
    """Limits requests per second as they arrive at the server.

    The limit holds in any window of one second. The arrival time of a request is
    unknown; it is between the start of the request and its response. So a request takes
    one of the slots when it starts and returns it one second after its response. Proof:
    take the request of a window that started last; every other request that arrived in
    the window was in flight or had been answered less than a second before, so each
    held a slot of its own. (Limiters that count from the start of a request, such as
    pyrate-limiter, let too many arrive together when some were delayed on the way, for
    example by a TLS handshake.)

    A rate below 1 allows one request per 1/rate seconds.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Start with all slots free; the rate may be fractional."""
        self._slots = max(1, int(requests_per_second))
        self._window = 1 / min(1.0, requests_per_second)
        self._changed = Condition()
        self._in_flight = 0
        self._answered: deque[float] = deque()
        self._paused_until = 0.0
        self._stopped = False
        self._waiting = 0
        self._waiting_since = 0.0
        self._seconds_waited = 0.0

    @property
    def seconds_throttled(self) -> float:
        """Seconds during which at least one connection waited for a slot."""
        with self._changed:
            current = time.monotonic() - self._waiting_since if self._waiting else 0.0
            return self._seconds_waited + current

    @contextmanager
    def slot(self, deadline: float | None = None) -> Iterator[None]:
        """Wait for a slot and hold it during the block.

        A pause is ignored after ``deadline``, a monotonic time. Raises ``Stopped``.
        """
        with self._changed:
            self._wait_for_slot(deadline)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._answered.append(time.monotonic())
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Start no request on any connection for some seconds."""
        with self._changed:
            until = time.monotonic() + seconds
            self._paused_until = max(self._paused_until, until)

    def sleep(self, seconds: float) -> None:
        """Sleep; raises ``Stopped`` as soon as the delivery ends."""
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, seconds):
                raise Stopped

    def stop(self) -> None:
        """Start no more requests and wake all waiting threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait_for_slot(self, deadline: float | None) -> None:
        if self._delay(deadline) == 0:
            return
        self._waiting += 1
        if self._waiting == 1:
            self._waiting_since = time.monotonic()
        try:
            while (delay := self._delay(deadline)) != 0:
                self._changed.wait(delay)
        finally:
            self._waiting -= 1
            if self._waiting == 0:
                self._seconds_waited += time.monotonic() - self._waiting_since

    def _delay(self, deadline: float | None) -> float | None:
        """Seconds to wait for a slot; None means until the next response."""
        if self._stopped:
            raise Stopped
        now = time.monotonic()
        paused_until = self._paused_until
        if deadline is not None:
            paused_until = min(paused_until, deadline)
        if now < paused_until:
            return paused_until - now
        while self._answered and self._answered[0] + self._window < now:
            self._answered.popleft()
        if self._in_flight + len(self._answered) < self._slots:
            return 0
        if not self._answered:
            return None
        # Never 0, which means that a slot is free.
        return max(self._answered[0] + self._window - now, 0.0005)
