"""Metrics of the records of each stream, in the style of the SDK's.

They have the figures of the summary. Where a configuration of the log asks for the
SDK's formats, as Meltano's does, they are logged like the SDK's own; elsewhere at level
DEBUG, so that they do not hide the summary of a short run.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Final

from singer_sdk.metrics import Point, Tag, get_metrics_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.results.counters import StreamCounts


LOG_CONFIG: Final = "SINGER_SDK_LOG_CONFIG"
"""The SDK's environment variable with the path of a configuration of the log."""


class RecordMetric(str, Enum):
    """The names of the metrics, in the style of the SDK's."""

    DELIVERED = "delivered_count"
    SKIPPED = "skipped_count"
    REJECTED = "rejected_count"


class RecordMetrics:
    """Logs the metrics of all streams."""

    def __init__(self) -> None:
        """Start at zero."""
        self._level = logging.INFO if os.environ.get(LOG_CONFIG) else logging.DEBUG
        self._logged: Counter[tuple[str, RecordMetric]] = Counter()
        self._lock = Lock()

    def log(self, streams: Mapping[str, StreamCounts], *, is_final: bool) -> None:
        """Log what was added since the last call; at the end of the run zeros too."""
        with self._lock:
            for stream, counts in [*streams.items()]:
                totals = counts.totals
                for metric in RecordMetric:
                    total = totals[metric.name.lower()]
                    new = total - self._logged[stream, metric]
                    self._logged[stream, metric] = total
                    if new or is_final:
                        _log(self._level, stream, metric, new)


def _log(level: int, stream: str, metric: RecordMetric, value: int) -> None:
    tags = {Tag.STREAM: stream, Tag.PID: os.getpid()}
    # The SDK's enumeration of metrics cannot be extended; it only uses `value`.
    point = Point("counter", metric, value, tags)  # type: ignore[arg-type]
    # Like the SDK's function `log`, whose level is fixed; its formatters know the text.
    get_metrics_logger().log(level, "METRIC: %s", point)
