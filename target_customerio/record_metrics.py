"""What became of each stream's records, as metrics of the SDK.

The SDK counts records that are read (``record_count``). Like its counters, these tell
what has been added since they were last told.
"""

from __future__ import annotations

import os
from collections import Counter
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING

from singer_sdk.metrics import Point, Tag, get_metrics_logger, log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_customerio.summary import StreamCounts


class RecordMetric(str, Enum):
    """The metrics, named as the SDK names its own."""

    DELIVERED = "delivered_count"
    SKIPPED = "skipped_count"
    REJECTED = "rejected_count"


class RecordMetrics:
    """Tells the metrics of all streams."""

    def __init__(self) -> None:
        """Tell nothing yet."""
        self._told: Counter[tuple[str, RecordMetric]] = Counter()
        self._telling = Lock()

    def tell(self, streams: Mapping[str, StreamCounts], *, is_final: bool) -> None:
        """Log what is new.

        Args:
            streams: The counts of each stream.
            is_final: Whether the run is over: then zeros are told too.
        """
        with self._telling:
            for stream, counts in [*streams.items()]:
                totals = counts.totals
                for metric in RecordMetric:
                    total = totals[metric.name.lower()]
                    new = total - self._told[stream, metric]
                    self._told[stream, metric] = total
                    if new or is_final:
                        _log(stream, metric, new)


def _log(stream: str, metric: RecordMetric, value: int) -> None:
    tags = {Tag.STREAM: stream, Tag.PID: os.getpid()}
    # The SDK's own enumeration of metrics cannot be extended; only `value` is used.
    point = Point("counter", metric, value, tags)  # type: ignore[arg-type]
    log(get_metrics_logger(), point)
