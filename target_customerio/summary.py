"""Counters of a run, and the progress lines and the summary made from them.

Each line comes with its figures, which become the fields of a structured log.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tabulate import tabulate

from target_customerio.address_book import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_customerio.delivery.sender import RequestStatistics


RECENT_SECONDS: Final = 72 * 3600
"""Maximum age of events that trigger campaigns (API: ``POST /api/v1/events``)."""


UNCHANGED: Final = "unchanged"
"""Why a record is skipped of which the snapshot has everything already."""


class Figure(NamedTuple):
    """A counter of the whole run that is shown in its own line of the summary.

    Attributes:
        name: Key in :attr:`Summary.figures` and field in a structured log.
        one: Text after the number 1.
        many: Text after any other number.
        always: Whether to show it if it is 0.
    """

    name: str
    one: str
    many: str
    always: bool = False


RECENT_EVENTS: Final = "recent_events"
OLD_IDENTIFIES: Final = "old_identifies"
OLD_SECONDS: Final = 24 * 3600
"""Minimum age of identifies that are counted as possibly outdated."""

FIGURES: Final = (
    Figure(
        RECENT_EVENTS,
        "event is younger than 72 hours and can trigger campaigns",
        "events are younger than 72 hours and can trigger campaigns",
        always=True,
    ),
    Figure(
        Conflict.MOVED_ADDRESS.value,
        "e-mail address moved from one id to another: Customer.io keeps one person for "
        "each address",
        "e-mail addresses moved from one id to another: Customer.io keeps one person "
        "for each address",
    ),
    Figure(
        Conflict.CHANGED_ADDRESS.value,
        'id changed its e-mail address: Customer.io keeps the first unless "Allow '
        'updates to email using ID" is on',
        'ids changed their e-mail addresses: Customer.io keeps the first unless "Allow '
        'updates to email using ID" is on',
    ),
    Figure(
        OLD_IDENTIFIES,
        "profile update has a time older than a day: Customer.io ignores it if the "
        "person was updated since (identify_timestamp: omit leaves times out)",
        "profile updates have times older than a day: Customer.io ignores those of "
        "people updated since (identify_timestamp: omit leaves times out)",
    ),
)
"""The lines between the table and the totals of requests, in order."""


class RejectedLine(NamedTuple):
    """Where a rejected record is, without any of its values.

    Attributes:
        number: Number of its line in the file of rejected records.
        field: The field at fault, as the log shows it.
    """

    number: int
    field: str


class Entry(NamedTuple):
    """A log line, and its figures by name for a structured log."""

    text: str
    fields: dict[str, Any]


@dataclass
class StreamCounts:
    """Counters of one stream.

    Each record read is delivered as one operation, skipped or rejected. Until then it
    is undelivered, and it remains so if the run fails. Of each reason the first
    rejections are kept with their place.
    """

    read: int = 0
    delivered: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    first_rejected: defaultdict[str, list[RejectedLine]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def undelivered(self) -> int:
        """Records read but not delivered, skipped or rejected."""
        accounted_for = (self.delivered, self.skipped, self.rejected)
        return self.read - sum(counts.total() for counts in accounted_for)

    @property
    def totals(self) -> dict[str, int]:
        """One total for each outcome."""
        return {
            "read": self.read,
            "delivered": self.delivered.total(),
            "skipped": self.skipped.total(),
            "rejected": self.rejected.total(),
            "undelivered": self.undelivered,
        }

    def fields(self, stream: str) -> dict[str, Any]:
        """Return all counters of the stream as fields of a structured log."""
        return {
            "event_type": "stream_summary",
            "stream_name": stream,
            **self.totals,
            "delivered_by_operation": dict(self.delivered),
            "skipped_by_reason": dict(self.skipped),
            "rejected_by_reason": dict(self.rejected),
        }


class Summary:
    """Counters of a run.

    Attributes:
        streams: Counters of each stream, by its name after stream maps.
        figures: Counters of the whole run, by the names in :data:`FIGURES`.
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

    def shown_figures(self) -> Iterator[tuple[int, str]]:
        """Yield the counters of the whole run that have something to say."""
        for figure in FIGURES:
            count = self.figures[figure.name]
            if count or figure.always:
                yield count, figure.one if count == 1 else figure.many

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

    def progress(self, statistics: RequestStatistics) -> Entry:
        """Return the progress line."""
        totals = self.totals
        del totals["undelivered"]  # still in the queue
        rate = totals["read"] / max(self.seconds, 1e-9)
        delivered, rejected = self._outcomes
        if self._is_plan:
            totals["to_send"] = totals.pop("delivered")
        return Entry(
            f"{totals['read']:,} records read, {self.delivered:,} operations "
            f"{delivered}, {totals['rejected']:,} {rejected}, {rate:,.0f} records/s, "
            f"{statistics.requests:,} requests, {statistics.retries:,} retries, "
            f"{statistics.seconds_throttled:.0f} s throttled",
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
            f"{totals['read']:,} records, {totals['delivered']:,} {delivered}, "
            f"{totals['rejected']:,} {rejected}, {records_per_second:,.0f} records/s, "
            f"{statistics.in_flight} in flight, "
            f"{statistics.seconds_throttled:.0f} s throttled"
        )

    @property
    def _outcomes(self) -> tuple[str, str]:
        """What happens to operations and to records in a line about progress."""
        return ("to send", "to reject") if self._is_plan else ("delivered", "rejected")

    def entries(self, statistics: RequestStatistics) -> Iterator[Entry]:
        """Yield the lines of the summary: a table by stream, then the whole run."""
        if self.streams:
            yield from self._counts()
        else:
            yield Entry("No streams were loaded", {})
        yield Entry(
            self.cost(statistics),
            {
                "event_type": "run_summary",
                **self.totals,
                **{figure.name: self.figures[figure.name] for figure in FIGURES},
                **self.cost_fields(statistics),
            },
        )

    def _counts(self) -> Iterator[Entry]:
        for line, stream in table(self.streams):
            yield Entry(line, self.streams[stream].fields(stream) if stream else {})
        for count, text in self.shown_figures():
            yield Entry(f"{count:,} {text}", {})

    def cost(self, statistics: RequestStatistics) -> str:
        """Return the totals of requests as text."""
        return (
            f"{statistics.requests:,} requests, {statistics.retries:,} retries, "
            f"{statistics.bytes_sent:,} bytes, {self.seconds:.1f} seconds, of which "
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
