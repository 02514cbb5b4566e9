"""Counters of a run: by stream, and figures of the whole run with their texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from target_customerio.address_book import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RECENT_SECONDS: Final = 72 * 3600
"""Maximum age of events that trigger campaigns (API: ``POST /api/v1/events``)."""


ONE_OF_KINDS: Final = {
    "people": "person",
    "objects": "object",
    "relationships": "relationship",
    "memberships": "membership",
}
"""The kinds of what a snapshot has, and what one of each is."""


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with what it counts.

    Args:
        count: The number.
        one: What it counts, in the singular.
        many: The same in the plural; by default with an ``s``.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def counted_kinds(counts: Mapping[str, int]) -> str:
    """Return how many there are of each kind, as text."""
    return ", ".join(
        counted(count, ONE_OF_KINDS[kind], kind) for kind, count in counts.items()
    )


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are, as text."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


UNCHANGED: Final = "unchanged"
"""Why a record is skipped of which the snapshot has everything already."""


class Figure(NamedTuple):
    """A counter of the whole run that is shown in its own line of the summary.

    Attributes:
        name: Key in :attr:`.Summary.figures` and field in a structured log.
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


def figure_lines(figures: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Yield the counters of the whole run that have something to say, with a text."""
    for figure in FIGURES:
        count = figures.get(figure.name, 0)
        if count or figure.always:
            yield count, figure.one if count == 1 else figure.many


class RejectedLine(NamedTuple):
    """Where a rejected record is, without any of its values.

    Attributes:
        number: Number of its line in the file of rejected records.
        field: The field at fault, as the log shows it.
    """

    number: int
    field: str


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
