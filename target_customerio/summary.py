"""What a run did: counted while it goes on, shown as a table at its end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_customerio.delivery.statistics import Statistics

HEADERS: Final = ["stream", "read", "delivered", "", "skipped", "", "rejected"]

RECENT_SECONDS: Final = 72 * 3600
"""Age up to which an event can trigger campaigns (``POST /api/v1/events``)."""


@dataclass
class StreamCounts:
    """What became of one stream's records."""

    read: int = 0
    rejected: int = 0
    delivered: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


class Summary:
    """Counts what becomes of the records of a run."""

    def __init__(self) -> None:
        """Start the clock."""
        self.streams: defaultdict[str, StreamCounts] = defaultdict(StreamCounts)
        self.recent_events = 0
        self._started = time.monotonic()

    @property
    def read(self) -> int:
        """Records read so far."""
        return sum(counts.read for counts in [*self.streams.values()])

    @property
    def delivered(self) -> int:
        """Operations delivered so far."""
        return sum(counts.delivered.total() for counts in [*self.streams.values()])

    @property
    def rejected(self) -> int:
        """Records rejected so far."""
        return sum(counts.rejected for counts in [*self.streams.values()])

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def progress(self, statistics: Statistics) -> str:
        """Say in one line how far the run is.

        Args:
            statistics: What the delivery has cost.

        Returns:
            The line.
        """
        rate = self.read / max(self.seconds, 1e-9)
        return (
            f"{self.read:,} records read, {self.delivered:,} operations delivered, "
            f"{self.rejected:,} rejected, {rate:,.0f} records/s, "
            f"{statistics.requests:,} requests, {statistics.retries:,} retries, "
            f"{statistics.seconds_throttled:.0f} s throttled"
        )

    def lines(self, statistics: Statistics) -> Iterator[str]:
        """Draw up the summary.

        Args:
            statistics: What the delivery has cost.

        Yields:
            Its lines: a table by stream, then what concerns the whole run.
        """
        yield from _table(self.streams).splitlines()
        events = self.recent_events
        yield (
            f"{events:,} {'event is' if events == 1 else 'events are'} younger than 72 "
            "hours and can trigger campaigns"
        )
        yield (
            f"{statistics.requests:,} requests, {statistics.retries:,} retries, "
            f"{statistics.bytes_sent:,} bytes, {self.seconds:.1f} seconds, of which "
            f"{statistics.seconds_throttled:.1f} throttled"
        )


def _table(streams: dict[str, StreamCounts]) -> str:
    # A third of what --version would otherwise take to load, and needed once.
    from tabulate import tabulate  # noqa: PLC0415

    rows = [row for stream in sorted(streams) for row in _rows(stream, streams[stream])]
    table = [HEADERS, *rows]
    if not any(counts.skipped for counts in streams.values()):
        table = [[*row[:4], *row[6:]] for row in table]
    # A stream may be called 007, so that nothing is taken for a number.
    return tabulate(
        table[1:],
        headers=table[0],
        tablefmt="simple",
        disable_numparse=True,
        colalign=_alignment(len(table[0])) if rows else None,
    )


def _alignment(columns: int) -> list[str]:
    """Align names to the left and the numbers behind them to the right."""
    return ["right" if index % 2 else "left" for index in range(columns - 1)] + [
        "right"
    ]


def _rows(stream: str, counts: StreamCounts) -> Iterator[list[str]]:
    """Set out one stream: a line for each operation or reason to skip."""
    delivered = sorted(counts.delivered.items())
    skipped = sorted(counts.skipped.items())
    for index in range(max(len(delivered), len(skipped), 1)):
        first = index == 0
        yield [
            stream if first else "",
            f"{counts.read:,}" if first else "",
            *_named_count(delivered, index),
            *_named_count(skipped, index),
            f"{counts.rejected:,}" if first else "",
        ]


def _named_count(counts: list[tuple[str, int]], index: int) -> tuple[str, str]:
    if index >= len(counts):
        return "", ""
    name, count = counts[index]
    return name, f"{count:,}"
