"""The counters of a run over time, in bounded memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from typing_extensions import Self

FIRST_INTERVAL: Final = 0.05
"""Seconds between the first samples; most short runs take less than a second."""

MAX_SAMPLES: Final = 240
"""Number of samples at which every other is dropped and the interval doubles."""


@dataclass(frozen=True)
class Totals:
    """Counters since the start of the run.

    Attributes:
        delivered: Operations delivered, by operation.
        skipped: Records skipped.
        rejected: Records rejected.
        requests: Requests sent, retries included.
        retries: Requests that had been sent before.
        seconds_throttled: Seconds spent waiting for the rate limit.
    """

    delivered: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    seconds_throttled: float = 0.0


@dataclass(frozen=True)
class Sample:
    """Counters at a moment.

    Attributes:
        seconds: Seconds since the start of the run.
        totals: The counters.
    """

    seconds: float
    totals: Totals


@dataclass(frozen=True)
class Period:
    """When a run took place, and how it ended.

    Attributes:
        started: When it started.
        ended: When it ended.
        samples: Its counters over time.
        error: What ended it, if it failed.
    """

    started: datetime
    ended: datetime
    samples: tuple[Sample, ...] = ()
    error: BaseException | None = None


class Timeline:
    """Samples counters in a thread of its own until the block ends.

    The interval doubles as the run gets longer, so that a long run of any length has
    between half of :data:`MAX_SAMPLES` and all of them.

    Attributes:
        interval: Seconds until the next sample.
    """

    def __init__(
        self,
        read: Callable[[], Totals],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; sampling starts with the ``with`` block.

        Args:
            read: Returns the counters.
            clock: Returns seconds.
        """
        self._read = read
        self._clock = clock
        self._started = clock()
        self._samples = [Sample(0.0, Totals())]
        self.interval = FIRST_INTERVAL
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples so far; the first has zeros."""
        return tuple(self._samples)

    def __enter__(self) -> Self:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the last sample."""
        self._ended.set()
        self._thread.join()
        self.take()

    def take(self) -> None:
        """Take a sample, and drop every other if there are too many."""
        self._samples.append(Sample(self._clock() - self._started, self._read()))
        if len(self._samples) >= MAX_SAMPLES:
            self._samples = self._samples[::2]
            self.interval *= 2

    def _run(self) -> None:
        while not self._ended.wait(self.interval):
            self.take()
