"""The charts of a page, from its figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import floor, log10
from typing import TYPE_CHECKING, Final

from target_customerio.report.charts import Chart, Series
from target_customerio.report.formats import SECONDS_PER_MINUTE, hours_and_less
from target_customerio.report.words import in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from target_customerio.plan import Plan
    from target_customerio.report.content import Content
    from target_customerio.report.timeline import Sample, Totals

MAX_COLUMNS: Final = 48
"""Maximum columns of a chart over time."""

MAX_BARS: Final = 12
"""Maximum bars of a chart; the table beside it has the others."""

MAX_ATTRIBUTES: Final = 20
"""Maximum attributes of an operation; the largest come first."""

MIN_SECONDS: Final = 10
"""Minimum length of a run with charts over time; rates of shorter ones say little."""

OWN_COLOURS: Final = 5
"""Maximum operations with a colour of their own; the others share one."""

OTHERS: Final = "other operations"


PLANNED: Final = {
    "created": ("Create", "good"),
    "changed": ("Change", "warn"),
    "unchanged": ("Unchanged", "neutral"),
    "sent": ("Send", "kind-0"),
}
"""What a plan counts for each operation: title and colour."""


@dataclass(frozen=True)
class Charts:
    """The charts of the page; ``None`` where there is nothing to draw.

    Attributes:
        streams: Records by stream.
        operations: Operations over time.
        rejections: Rejected records by reason.
        requests: Requests over time.
        throttled: Waiting for the rate limit over time.
        plan: What a plan would do by stream.
        columns: The columns of the plan that have numbers.
        attributes: How often attributes would be sent, by stream and operation, and
            how many attributes are left out.
    """

    streams: Chart | None = None
    operations: Chart | None = None
    rejections: Chart | None = None
    requests: Chart | None = None
    throttled: Chart | None = None
    plan: Chart | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    attributes: Sequence[tuple[str, str, Chart, int]] = ()


def charts_of(content: Content) -> Charts:
    """Return the charts of a run or a plan."""
    rejections = _rejections(content)
    if content.plan is not None:
        plan = content.plan
        return Charts(
            rejections=rejections,
            plan=_planned(plan),
            columns={
                name: title
                for name, (title, _) in PLANNED.items()
                if plan.totals[name] or name in {"created", "changed"}
            },
            attributes=tuple(_attributes(plan)),
        )
    is_long = content.seconds >= MIN_SECONDS
    columns = over_time(content.samples) if is_long else []
    return Charts(
        streams=_streams(content),
        operations=_operations(columns),
        rejections=rejections,
        requests=_requests(columns),
        throttled=_throttled(columns),
    )


def _planned(plan: Plan) -> Chart | None:
    """Return what would be done by stream."""
    sums = {
        stream.stream: {
            name: sum(getattr(each, name) for each in stream.operations)
            for name in PLANNED
        }
        for stream in plan.streams
    }
    shown = sorted(sums, key=lambda name: -sum(sums[name].values()))[:MAX_BARS]
    return _bars(
        "People, companies and operations by stream",
        "Stream",
        shown,
        [
            Series(title.lower(), colour, [sums[stream][name] for stream in shown])
            for name, (title, colour) in PLANNED.items()
        ],
    )


def _attributes(plan: Plan) -> Iterator[tuple[str, str, Chart, int]]:
    """Yield how often attributes would be sent, by stream and operation."""
    for stream in plan.streams:
        for each in stream.operations:
            names = [*each.attributes][:MAX_ATTRIBUTES]
            counts = [each.attributes[name] for name in names]
            drawn = _bars(
                "Changed, by attribute" if plan.snapshot else "Sent, by attribute",
                "Attribute",
                names,
                [Series("times", "warn", counts)],
            )
            if drawn is not None:
                more = len(each.attributes) - len(names)
                yield stream.stream, each.operation, drawn, more


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bars(
    title: str, axis: str, names: Sequence[str], series: Sequence[Series]
) -> Chart | None:
    """Return a chart of counts by name."""
    return _drawn(
        Chart(title, axis, names, series, _count, min_step=1, is_horizontal=True)
    )


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
    return _bars(
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
    )


def _rejections(content: Content) -> Chart | None:
    shown = content.rejections[:MAX_BARS]
    if len({each.count for each in shown}) == 1:
        return None  # bars of the same length say nothing that the table does not
    return _bars(
        "Rejected records by reason",
        "Reason",
        [each.reason for each in shown],
        [Series("rejected", "bad", [each.count for each in shown])],
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


def over_time(samples: Sequence[Sample]) -> list[_Column]:
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
    """Return a time since the start, with more digits the shorter the run was."""
    if end < SECONDS_PER_MINUTE:
        digits = max(0, 1 - floor(log10(end)))
        return f"{seconds:.{digits}f} s"
    hours, minutes, rest = hours_and_less(seconds)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _operations(columns: Sequence[_Column]) -> Chart | None:
    if not columns:
        return None
    totals: Mapping[str, int] = columns[-1].after.delivered
    names = sorted(totals, key=lambda name: (-totals[name], name))
    own, rest = names[:OWN_COLOURS], names[OWN_COLOURS:]

    def delivered(title: str, number: int, names: Sequence[str]) -> Series:
        return _rates(
            title,
            f"kind-{number}",
            columns,
            lambda at: sum(at.delivered.get(name, 0) for name in names),
        )

    series = [
        *(delivered(in_words(name), at, [name]) for at, name in enumerate(own)),
        delivered(OTHERS, OWN_COLOURS, rest),
        _rates("rejected", "bad", columns, lambda at: at.rejected),
    ]
    return _timed(
        "Operations delivered per second", columns, series, _count, min_step=1
    )


def _requests(columns: Sequence[_Column]) -> Chart | None:
    return _timed(
        "Requests per second",
        columns,
        [
            _rates(
                "first attempts", "good", columns, lambda at: at.requests - at.retries
            ),
            _rates("retries", "warn", columns, lambda at: at.retries),
        ],
        lambda value: f"{value:,.1f}".removesuffix(".0"),
    )


def _throttled(columns: Sequence[_Column]) -> Chart | None:
    waiting = _rates("waiting", "warn", columns, lambda at: at.seconds_throttled)
    shares = [min(each, 1.0) for each in waiting.values]
    return _timed(
        "Share of the time spent waiting for the rate limit",
        columns,
        [replace(waiting, values=shares)],
        lambda value: f"{value:.0%}",
    )


def _rates(
    name: str,
    colour: str,
    columns: Sequence[_Column],
    read: Callable[[Totals], float],
) -> Series:
    """Return how much a counter rose per second, over time."""
    return Series(name, colour, [each.rate(read) for each in columns])


def _timed(
    title: str,
    columns: Sequence[_Column],
    series: Sequence[Series],
    shown: Callable[[float], str],
    *,
    min_step: float = 0.0,
) -> Chart | None:
    """Return a chart over time."""
    labels = [each.label for each in columns]
    return _drawn(Chart(title, "Time", labels, series, shown, min_step=min_step))
