"""What the figures of a run say: its verdict in words, and the charts of the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING, Final

from target_customerio.report.charts import Chart, Series
from target_customerio.report.formats import MINUTE, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from target_customerio.report.content import Content
    from target_customerio.report.timeline import Sample, Totals
    from target_customerio.sandbox.sample import Person

MAX_COLUMNS: Final = 48
"""Maximum columns of a chart over time."""

MAX_BARS: Final = 12
"""Maximum bars of a chart; the table beside it has the others."""

KINDS: Final = 5
"""Operations with a colour of their own; further ones share one."""

OTHERS: Final = "other operations"

OPERATIONS: Final = {
    "person identify": "people added or updated",
    "person delete": "people deleted",
    "person event": "events",
    "person page": "page views",
    "person screen": "screen views",
    "person add_device": "devices added or updated",
    "person delete_device": "devices removed",
    "person merge": "people merged",
    "person suppress": "people suppressed",
    "person unsuppress": "suppressions lifted",
    "person content report": "content views and clicks",
    "object identify": "companies (objects) added or updated",
    "object identify_anonymous": "companies (objects) of anonymous visitors",
    "object delete": "companies (objects) deleted",
    "object add_relationships": "relationships added",
    "object delete_relationships": "relationships removed",
    "delivery report": "delivery reports",
    "segment add": "segment members added",
    "segment remove": "segment members removed",
}
"""Operations in plain words."""


def in_words(operation: str) -> str:
    """Return an operation in plain words."""
    return OPERATIONS.get(operation, operation)


@dataclass(frozen=True)
class Verdict:
    """How the run went, in words.

    Attributes:
        level: ``good``, ``warn`` or ``bad``.
        title: The verdict in a few words.
        text: What it means, and what to do.
    """

    level: str
    title: str
    text: str


def verdict_of(content: Content) -> Verdict:
    """Return how a run went."""
    outcome, rejected = content.outcome, content.totals["rejected"]
    if outcome.exit_code not in {0, REJECTED}:
        return Verdict(
            "bad",
            "The run failed",
            "What is counted below happened before. The next run continues where the "
            "last STATE was written.",
        )
    if not outcome.is_complete:
        where = "at a rejected record" if outcome.error else "before the input ended"
        return Verdict(
            "warn",
            f"The run was stopped {where}",
            "What had been read was delivered. The next run continues where the last "
            "STATE was written.",
        )
    done = "applied" if content.is_sandbox else "delivered"
    note = "Nothing was sent to Customer.io. " if content.is_sandbox else ""
    if rejected:
        records = "1 record was" if rejected == 1 else f"{rejected:,} records were"
        return Verdict(
            "warn",
            f"{records} rejected, everything else was {done}",
            f"{note}Rejected records are in a file, where they can be corrected.",
        )
    return Verdict("good", f"Everything was {done}", f"{note}No record was rejected.")


def gist(person: Person) -> str:
    """Return in a few words what happened to a person."""
    changes = sum(each.is_change for each in person.attributes)
    counts = {
        "changed attribute": changes if person.state == "changed" else 0,
        "new event": person.new_events,
        "ignored operation": len(person.ignored),
    }
    return ", ".join(counted(count, what) for what, count in counts.items() if count)


REJECTED: Final = 3
"""Exit code of a run that has delivered everything but what it rejected."""


@dataclass(frozen=True)
class Charts:
    """The charts of the page; ``None`` where there is nothing to draw."""

    streams: Chart | None
    operations: Chart | None
    rejections: Chart | None
    requests: Chart | None
    throttled: Chart | None


def charts_of(content: Content) -> Charts:
    """Return the charts of a run."""
    columns = _columns(content.samples)
    return Charts(
        _streams(content),
        _operations(columns),
        _rejections(content),
        _requests(columns),
        _throttled(columns),
    )


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _drawn(chart: Chart) -> Chart | None:
    """Return a chart without the series that are all zero; None if all are."""
    series = [each for each in chart.series if any(each.values)]
    if not series:
        return None
    return replace(chart, series=series)


def _streams(content: Content) -> Chart | None:
    streams = sorted(content.streams.items(), key=lambda item: -item[1].read)
    shown = streams[:MAX_BARS]
    totals = [counts.totals for _, counts in shown]
    return _drawn(
        Chart(
            "Records by stream",
            "Stream",
            [name for name, _ in shown],
            [
                Series(name, colour, [each[name] for each in totals])
                for name, colour in (
                    ("delivered", "good"),
                    ("skipped", "neutral"),
                    ("rejected", "bad"),
                    ("undelivered", "warn"),
                )
            ],
            _count,
            least=1,
            is_horizontal=True,
        )
    )


def _rejections(content: Content) -> Chart | None:
    shown = content.rejections[:MAX_BARS]
    return _drawn(
        Chart(
            "Rejected records by reason",
            "Reason",
            [each.reason for each in shown],
            [Series("rejected", "bad", [each.count for each in shown])],
            _count,
            least=1,
            is_horizontal=True,
        )
    )


@dataclass(frozen=True)
class _Column:
    """What happened between two samples."""

    label: str
    seconds: float
    before: Totals
    after: Totals

    def rate(self, read: Callable[[Totals], float]) -> float:
        """Return how much a counter rose per second."""
        return (read(self.after) - read(self.before)) / self.seconds


def _columns(samples: Sequence[Sample]) -> list[_Column]:
    """Return what happened over time, in at most :data:`MAX_COLUMNS` columns."""
    every = -(-(len(samples) - 1) // MAX_COLUMNS) or 1
    chosen = [*samples[:-1:every], *samples[-1:]]
    end = samples[-1].seconds if samples else 0.0
    return [
        _Column(
            _clock(after.seconds, end),
            after.seconds - before.seconds,
            before.totals,
            after.totals,
        )
        for before, after in pairwise(chosen)
        if after.seconds > before.seconds
    ]


def _clock(seconds: float, end: float) -> str:
    """Return a time since the start, as exact as the length of the run asks for."""
    if end < MINUTE:
        digits = max(0, 1 - floor(log10(end)))
        return f"{seconds:.{digits}f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _operations(columns: Sequence[_Column]) -> Chart | None:
    if not columns:
        return None
    totals: Mapping[str, int] = columns[-1].after.delivered
    names = sorted(totals, key=lambda name: (-totals[name], name))
    own, rest = names[:KINDS], names[KINDS:]

    def rates(counted: Sequence[str]) -> list[float]:
        return [
            each.rate(lambda at: sum(at.delivered.get(name, 0) for name in counted))
            for each in columns
        ]

    return _drawn(
        Chart(
            "Operations delivered per second",
            "Time",
            [each.label for each in columns],
            [
                *(
                    Series(in_words(name), f"kind-{index}", rates([name]))
                    for index, name in enumerate(own)
                ),
                Series(OTHERS, f"kind-{KINDS}", rates(rest)),
                Series(
                    "rejected",
                    "bad",
                    [each.rate(lambda at: at.rejected) for each in columns],
                ),
            ],
            _count,
            least=1,
        )
    )


def _requests(columns: Sequence[_Column]) -> Chart | None:
    return _drawn(
        Chart(
            "Requests per second",
            "Time",
            [each.label for each in columns],
            [
                Series(
                    "first attempts",
                    "good",
                    [
                        each.rate(lambda at: at.requests - at.retries)
                        for each in columns
                    ],
                ),
                Series(
                    "retries",
                    "warn",
                    [each.rate(lambda at: at.retries) for each in columns],
                ),
            ],
            lambda value: f"{value:,.1f}",
        )
    )


def _throttled(columns: Sequence[_Column]) -> Chart | None:
    return _drawn(
        Chart(
            "Share of the time spent waiting for the rate limit",
            "Time",
            [each.label for each in columns],
            [
                Series(
                    "waiting",
                    "warn",
                    [
                        min(each.rate(lambda at: at.seconds_throttled), 1.0)
                        for each in columns
                    ],
                )
            ],
            lambda value: f"{value:.0%}",
        )
    )
