"""Shows how far a run is: a live line on a terminal, elsewhere lines of the log."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from singer_sdk.metrics import get_metrics_logger

from target_customerio.terminal import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from target_customerio.live_line import LiveLine
    from target_customerio.pipeline import Pipeline

LOG_SECONDS: Final = 30.0
"""Seconds between lines of the log."""

LIVE_SECONDS: Final = 0.2
"""Seconds between two drawings of the live line."""

RATE_SECONDS: Final = 5.0
"""Seconds over which the live line averages records per second."""


@contextmanager
def logged_progress(pipeline: Pipeline) -> Iterator[None]:
    """Log progress every 30 seconds while the block lasts.

    Args:
        pipeline: The pipeline of the run.
    """
    with _repeating(pipeline.log_progress, LOG_SECONDS):
        yield


@contextmanager
def shown_progress(pipeline: Pipeline) -> Iterator[None]:
    """Show progress while the block lasts: live on a terminal, else in the log.

    Where it is live, the SDK's metrics, which have the same figures, are logged at
    level DEBUG.

    Args:
        pipeline: The pipeline of the run.
    """
    with TERMINAL.live_line() as line:
        if line is None:
            with logged_progress(pipeline):
                yield
        else:
            with _quiet_metrics(), _repeating(Drawing(pipeline, line), LIVE_SECONDS):
                yield


class Drawing:
    """Draws the live line of a run when it is called."""

    def __init__(
        self,
        pipeline: Pipeline,
        line: LiveLine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Draw nothing yet.

        Args:
            pipeline: The pipeline of the run.
            line: The line.
            clock: Returns seconds.
        """
        self._clock = clock
        self._pipeline = pipeline
        self._line = line
        samples = round(RATE_SECONDS / LIVE_SECONDS)
        self._read = deque([(clock(), 0)], maxlen=samples + 1)

    def __call__(self) -> None:
        """Draw the line."""
        summary = self._pipeline.recorder.summary
        self._read.append((self._clock(), summary.totals["read"]))
        (began, before), (now, read) = self._read[0], self._read[-1]
        rate = (read - before) / max(now - began, LIVE_SECONDS)
        # The terminal may have been closed.
        with suppress(OSError, ValueError):
            self._line.show(summary.live_text(self._pipeline.statistics, rate))


@contextmanager
def _repeating(show: Callable[[], None], seconds: float) -> Iterator[None]:
    """Show progress again and again, in a thread, while the block lasts."""
    ended = Event()

    def run() -> None:
        while not ended.wait(seconds):
            show()

    thread = Thread(target=run, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _quiet_metrics() -> Iterator[None]:
    """Log the SDK's metrics at level DEBUG while the block lasts."""
    logger = get_metrics_logger()

    def lower(record: logging.LogRecord) -> bool:
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logger.isEnabledFor(logging.DEBUG)

    logger.addFilter(lower)
    try:
        yield
    finally:
        logger.removeFilter(lower)
