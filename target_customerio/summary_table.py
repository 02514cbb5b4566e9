"""The summary's table: by stream, a row for each operation and each reason.

It is a module of its own since ``tabulate`` takes a third of what ``--version`` would
otherwise take to load, and is needed once.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from tabulate import tabulate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from target_customerio.summary import StreamCounts


class Column(IntEnum):
    """The columns of the table, and where they stand in a row."""

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
"""The columns that hold no numbers."""


def table(streams: Mapping[str, StreamCounts]) -> Iterator[tuple[str, str | None]]:
    """Set out the streams.

    Args:
        streams: The counts of each stream.

    Yields:
        Each line, and the stream whose first line it is.
    """
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
        # A stream may be called 007, so that nothing is taken for a number.
        disable_numparse=True,
        colalign=["left" if column in NAMES else "right" for column in headers]
        if rows
        else None,
    ).splitlines()
    for number, line in enumerate(lines, -2):  # the header and the rule come first
        yield line, begins.get(number)


def _headers(streams: Mapping[str, StreamCounts]) -> dict[Column, str]:
    """Choose the columns: what happened in no stream takes no room."""
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
    """Set out one stream: a line for each operation or reason."""
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
