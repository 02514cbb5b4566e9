"""The summary of a run and its progress lines, made from its counters.

Each line comes with its figures, which become the fields of a structured log.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from enum import IntEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tabulate import tabulate

from target_customerio.results.counters import (
    FIGURES,
    StreamCounts,
    counted,
    figure_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_customerio.delivery.sender import RequestStatistics


class LogLine(NamedTuple):
    """A log line, and its figures by name for a structured log."""

    text: str
    fields: dict[str, Any]


class Summary:
    """Counters of a run.

    Attributes:
        streams: Counters of each stream, by its name after stream maps.
        figures: Counters of the whole run, by the names in :data:`.counters.FIGURES`.
    """

    def __init__(self, *, is_plan: bool = False) -> None:
        """Start the clock.

        Args:
            is_plan: Whether what counts as delivered and rejected would be.
        """
        self._is_plan = is_plan
        self.streams: defaultdict[str, StreamCounts] = defaultdict(StreamCounts)
        self.figures: Counter[str] = Counter()
        self._started = time.monotonic()

    @property
    def totals(self) -> dict[str, int]:
        """Totals over all streams so far."""
        totals = StreamCounts().totals
        for counts in [*self.streams.values()]:
            for name, count in counts.totals.items():
                totals[name] += count
        return totals

    @property
    def delivered(self) -> int:
        """Operations delivered so far."""
        return self.totals["delivered"]

    @property
    def rejected(self) -> int:
        """Records rejected so far."""
        return self.totals["rejected"]

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def results(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield stream, outcome, operation or reason, and number of records."""
        for stream, counts in sorted(self.streams.items()):
            outcomes = {
                "delivered": counts.delivered,
                "skipped": counts.skipped,
                "rejected": counts.rejected,
                "undelivered": {"": counts.undelivered} if counts.undelivered else {},
            }
            for outcome, details in outcomes.items():
                for detail, records in sorted(details.items()):
                    yield stream, outcome, detail, records

    def progress(self, statistics: RequestStatistics) -> LogLine:
        """Return the progress line."""
        totals = self.totals
        del totals["undelivered"]  # still in the queue
        rate = totals["read"] / max(self.seconds, 1e-9)
        delivered, rejected = self._outcomes
        if self._is_plan:
            totals["to_send"] = totals.pop("delivered")
        return LogLine(
            f"{counted(totals['read'], 'record')} read, "
            f"{counted(self.delivered, 'operation')} {delivered}, "
            f"{totals['rejected']:,} {rejected}, {rate:,.0f} records/s, "
            f"{_requests(statistics)}, {statistics.seconds_throttled:.0f} s throttled",
            {
                "event_type": "progress",
                **totals,
                "records_per_second": round(rate, 1),
                **self.cost_fields(statistics),
            },
        )

    def live_text(
        self, statistics: RequestStatistics, records_per_second: float
    ) -> str:
        """Return the progress line on a terminal; the end of it may not be seen."""
        totals = self.totals
        delivered, rejected = self._outcomes
        return (
            f"{counted(totals['read'], 'record')}, "
            f"{totals['delivered']:,} {delivered}, "
            f"{totals['rejected']:,} {rejected}, {records_per_second:,.0f} records/s, "
            f"{statistics.in_flight} in flight, "
            f"{statistics.seconds_throttled:.0f} s throttled"
        )

    @property
    def _outcomes(self) -> tuple[str, str]:
        """What happens to operations and to records in a line about progress."""
        return ("to send", "to reject") if self._is_plan else ("delivered", "rejected")

    def lines(self, statistics: RequestStatistics) -> Iterator[LogLine]:
        """Yield the lines of the summary: a table by stream, then the whole run."""
        if self.streams:
            yield from self._counts()
        else:
            yield LogLine("No streams were loaded", {})
        yield LogLine(
            self.cost(statistics),
            {
                "event_type": "run_summary",
                **self.totals,
                **{figure.name: self.figures[figure.name] for figure in FIGURES},
                **self.cost_fields(statistics),
            },
        )

    def _counts(self) -> Iterator[LogLine]:
        for line, stream in table(self.streams):
            yield LogLine(line, self.streams[stream].fields(stream) if stream else {})
        for count, text in figure_lines(self.figures):
            yield LogLine(f"{count:,} {text}", {})

    def cost(self, statistics: RequestStatistics) -> str:
        """Return the totals of requests as text."""
        return (
            f"{_requests(statistics)}, {counted(statistics.bytes_sent, 'byte')}, "
            f"{self.seconds:.1f} seconds, of which "
            f"{statistics.seconds_throttled:.1f} throttled"
        )

    def cost_fields(self, statistics: RequestStatistics) -> dict[str, float]:
        """Return the totals of requests as fields of a structured log."""
        return {
            "requests": statistics.requests,
            "retries": statistics.retries,
            "bytes_sent": statistics.bytes_sent,
            "seconds": round(self.seconds, 3),
            "seconds_throttled": round(statistics.seconds_throttled, 3),
        }


def _requests(statistics: RequestStatistics) -> str:
    return (
        f"{counted(statistics.requests, 'request')}, "
        f"{counted(statistics.retries, 'retry', 'retries')}"
    )


class Column(IntEnum):
    """Columns of the table, by their position in a row."""

    STREAM = 0
    READ = 1
    OPERATION = 2
    DELIVERED = 3
    SKIP_REASON = 4
    SKIPPED = 5
    REJECT_REASON = 6
    REJECTED = 7
    UNDELIVERED = 8


HEADERS: Final = {
    Column.STREAM: "stream",
    Column.READ: "read",
    Column.OPERATION: "delivered",
    Column.SKIP_REASON: "skipped",
    Column.REJECT_REASON: "rejected",
    Column.UNDELIVERED: "undelivered",
}
NAMES: Final = frozenset(
    {Column.STREAM, Column.OPERATION, Column.SKIP_REASON, Column.REJECT_REASON}
)
"""Columns with text."""


def table(streams: Mapping[str, StreamCounts]) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of the table, each with the stream whose first line it is."""
    rows: list[tuple[str, ...]] = []
    begins: dict[int, str] = {}
    for stream in sorted(streams):
        begins[len(rows)] = stream
        rows += _rows(stream, streams[stream])
    headers = _headers(streams)
    lines = tabulate(
        [[row[column] for column in headers] for row in rows],
        headers=list(headers.values()),
        tablefmt="simple",
        # A stream may be named 007.
        disable_numparse=True,
        colalign=["left" if column in NAMES else "right" for column in headers],
    ).splitlines()
    for number, line in enumerate(lines, -2):  # the header and the rule come first
        yield line, begins.get(number)


def _headers(streams: Mapping[str, StreamCounts]) -> dict[Column, str]:
    """Return the columns of the table; columns without any counts are left out."""
    headers = {column: HEADERS.get(column, "") for column in Column}
    counts = streams.values()
    if not any(each.skipped for each in counts):
        del headers[Column.SKIP_REASON], headers[Column.SKIPPED]
    if not any(each.rejected for each in counts):
        headers[Column.REJECTED] = headers.pop(Column.REJECT_REASON)
    if not any(each.undelivered for each in counts):
        del headers[Column.UNDELIVERED]
    return headers


def _rows(stream: str, counts: StreamCounts) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a stream: one for each operation or reason."""
    rest = ("", "")
    first = True
    for delivered, skipped, rejected in zip_longest(
        _cells(counts.delivered) or [rest],
        _cells(counts.skipped),
        _cells(counts.rejected) or [("", "0")],
        fillvalue=rest,
    ):
        yield (
            stream if first else "",
            f"{counts.read:,}" if first else "",
            *delivered,
            *skipped,
            *rejected,
            f"{counts.undelivered:,}" if first else "",
        )
        first = False


def _cells(counts: Counter[str]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(counts.items())]
