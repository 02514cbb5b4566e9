"""How often requests are sent, over all connections."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Nothing more is to be sent."""


class Throttle:
    """Lets requests through one by one.

    The limit holds for the arrival of requests at the server, in any window of one
    second. When a request arrives is not known here, only that it is between its
    start and its answer. So a request takes one of the second's places when it starts,
    and gives it back one second after its answer. Take the last-started request of any
    window at the server: the others that arrived in it were, when it started, under
    way or answered less than a second before, so that there was a place for it besides
    theirs. (A limiter that counts from the start of a request, as those of
    pyrate-limiter do, lets too many arrive together when some were held up on their
    way, as by a TLS handshake.)

    A rate below one request a second allows one request in its inverse.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Allow the first requests at once.

        Args:
            requests_per_second: The rate; it need not be whole.
        """
        self._places = max(1, int(requests_per_second))
        self._window = 1 / min(1.0, requests_per_second)
        self._changed = Condition()
        self._under_way = 0
        self._answered: deque[float] = deque()
        self._paused_until = 0.0
        self._stopped = False
        self._waiting = 0
        self._waiting_since = 0.0
        self._seconds_waited = 0.0

    @property
    def seconds_throttled(self) -> float:
        """The time during which at least one connection was held back."""
        with self._changed:
            current = time.monotonic() - self._waiting_since if self._waiting else 0.0
            return self._seconds_waited + current

    @contextmanager
    def place(self, deadline: float | None = None) -> Iterator[None]:
        """Wait for one's turn, and hold a place while the block runs.

        Args:
            deadline: A monotonic time at which a pause no longer counts.

        Yields:
            When the request may be sent.

        Raises:
            Stopped: When nothing more is to be sent.
        """
        with self._changed:
            self._wait_for_place(deadline)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._answered.append(time.monotonic())
                self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Let nobody start a request for a while.

        Args:
            seconds: How long from now.
        """
        with self._changed:
            until = time.monotonic() + seconds
            self._paused_until = max(self._paused_until, until)

    def rest(self, seconds: float) -> None:
        """Wait, as long as requests are sent at all.

        Args:
            seconds: How long.

        Raises:
            Stopped: When nothing more is to be sent.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self._stopped, seconds):
                raise Stopped

    def stop(self) -> None:
        """Let no more requests through, and wake whoever waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait_for_place(self, deadline: float | None) -> None:
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
        """Tell how long to wait: 0 for not at all, ``None`` for until an answer."""
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
        if self._under_way + len(self._answered) < self._places:
            return 0
        if not self._answered:
            return None
        # Never 0, which would mean to go at once.
        return max(self._answered[0] + self._window - now, 0.0005)
