"""Servers that limit the rate, and connections that share a throttle, simulated."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Literal

from target_customerio.delivery.throttle import Throttle

Kind = Literal["fixed window", "sliding window", "token bucket"]
Header = Literal["whole seconds", "seconds", "one", "zero", "absent"]


@dataclass
class Server:
    """Admits ``rate`` requests per second and refuses the others with 429.

    Windows admit ``rate * period`` requests; a bucket holds as many tokens.
    """

    kind: Kind
    rate: float
    period: float = 1.0
    header: Header = "whole seconds"
    phase: float = 0.0
    lasts: float = math.inf
    """When the server stops to limit the rate."""
    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = max(1, round(self.rate * self.period))
        self.tokens = float(self.size)
        self.filled = 0.0

    def retry_after(self, now: float) -> tuple[bool, float | None]:
        """Answer a request: whether it is admitted, and what ``Retry-After`` says."""
        left = 0.0 if now > self.lasts else self._seconds_until_room(now)
        if not left:
            self.admitted.append(now)
            self.tokens -= 1
            return True, None
        self.refused.append(now)
        says: dict[Header, float | None] = {
            "whole seconds": float(math.ceil(left)),
            "seconds": left,
            "one": 1.0,
            "zero": 0.0,
            "absent": None,
        }
        return False, says[self.header]

    def _seconds_until_room(self, now: float) -> float:
        if self.kind == "token bucket":
            more = (now - self.filled) * self.rate
            self.tokens, self.filled = min(self.size, self.tokens + more), now
            return 0.0 if self.tokens >= 1 else (1 - self.tokens) / self.rate
        latest = self.admitted[-self.size :]
        if len(latest) < self.size:
            return 0.0
        if self.kind == "fixed window":
            start = math.floor(now / self.period + self.phase) - self.phase
            since = start * self.period
            return 0.0 if latest[0] < since else since + self.period - now
        return max(0.0, latest[0] + self.period - now)


def simulate(
    server: Server,
    *,
    connections: int,
    latency: float,
    seconds: float,
    limit: float = 100.0,
    seed: int = 0,
) -> list[tuple[float, float]]:
    """Let connections send as fast as the throttle allows; return starts and ends."""
    random = Random(seed)
    throttle = Throttle(limit)
    begin = 1_000_000.0
    """The throttle's clock is another than the server's."""
    waiting = deque(range(connections))
    events: list[tuple[float, int, str, Any]] = []
    number = count()
    spans: list[tuple[float, float]] = []
    now = 0.0
    while now < seconds:
        while waiting and throttle.delay(begin + now) == 0:
            waiting.popleft()
            throttle.start(begin + now)
            takes = latency * random.uniform(0.5, 1.5)
            arrival = now + takes / 2
            heapq.heappush(events, (arrival, next(number), "arrival", (now, takes)))
        delay = throttle.delay(begin + now) if waiting else None
        wakes = math.inf if delay is None else now + delay + random.uniform(0, 0.001)
        now = min(wakes, events[0][0] if events else math.inf)
        while events and events[0][0] <= now:
            at, _, what, (started, detail) = heapq.heappop(events)
            if what == "arrival":
                answer = server.retry_after(at)
                event = (at + detail / 2, next(number), "answer", (started, answer))
                heapq.heappush(events, event)
                continue
            admitted, retry_after = detail
            if admitted:
                throttle.admitted(begin + started)
            else:
                throttle.refused(begin + started, begin + at, retry_after, at_most=600)
            throttle.end(begin + at)
            spans.append((started, at))
            waiting.append(0)
    return spans
