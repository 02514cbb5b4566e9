"""A plan: what a run would do, as a value and as the text that is logged.

:class:`Plan` has every figure. ``Pipeline.plan`` holds it once a run with the setting
``plan`` has ended, and :func:`deliver` returns it in ``DeliverySummary.plan``. It has
no values of records; an attribute whose name may be a value is left out of the names.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from target_customerio.summary import FIGURES, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHOWN_ATTRIBUTES: Final = 12
"""Maximum attributes of an operation that the text shows; the value has all of them."""

OTHER_ATTRIBUTES: Final = "(other names)"
"""Stands for attributes whose names may be values."""

_NAME: Final = re.compile(r"[^\W\d][\w .:/()-]{0,59}")
"""Names that may be shown: no addresses, numbers or texts in their place."""


def may_be_shown(attribute: str) -> bool:
    """Return whether a name is that of an attribute, and not a value in its place."""
    return _NAME.fullmatch(attribute) is not None


@dataclass(frozen=True)
class OperationPlan:
    """What would become of the records of a stream that give one operation.

    Operations that are compared with a snapshot (identify, group, segment) count
    people, objects or memberships, each once, however many records name it:
    ``created``, ``changed`` or ``unchanged``. All others count operations, in
    ``sent``; without a snapshot that is all of them.

    Attributes:
        operation: The operation, for example ``person identify``.
        created: Not in the snapshot yet.
        changed: Known, with other attributes or relationships than would be sent now,
            or such that the snapshot cannot know.
        unchanged: Nothing would be sent of them.
        sent: Operations that would be sent without a comparison.
        attributes: The number of the changed ones for each attribute that would be
            sent of them; without a snapshot the number of operations. The largest come
            first. :data:`OTHER_ATTRIBUTES` stands for names that are not shown.
    """

    operation: str
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    sent: int = 0
    attributes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RemovalPlan:
    """What ``--remove-missing`` would remove for a stream.

    Attributes:
        removed: How many would be removed, by kind: ``people``, ``objects``,
            ``relationships`` and ``memberships``.
        kept: How many are gone from the stream and would stay, since another stream
            holds them or they cannot be removed safely.
        refusal: Why nothing of the stream would be removed; empty if it would.
    """

    removed: Mapping[str, int] = field(default_factory=dict)
    kept: int = 0
    refusal: str = ""


@dataclass(frozen=True)
class StreamPlan:
    """What would become of the records of a stream.

    Attributes:
        stream: Its name after stream maps.
        read: Records read.
        operations: What they would become, by operation.
        skipped: Records skipped, by reason; the unchanged ones are in ``operations``.
        rejected: Records that would be rejected, by reason.
        removal: What would be removed afterwards; None without ``remove_missing``.
    """

    stream: str
    read: int = 0
    operations: tuple[OperationPlan, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    removal: RemovalPlan | None = None


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        destination: Where the records would go, as the log names it.
        snapshot: The snapshot that they are compared with; None without one.
        streams: The streams, by name.
        figures: Counters of the whole run by the names in
            :data:`target_customerio.summary.FIGURES`, such as ``recent_events``: events
            that could trigger campaigns.
    """

    destination: str
    snapshot: str | None = None
    streams: tuple[StreamPlan, ...] = ()
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int]:
        """The totals over all streams, by the names of the columns."""
        totals = dict.fromkeys(("created", "changed", "unchanged", "sent"), 0)
        for name in totals:
            totals[name] = sum(
                getattr(each, name)
                for stream in self.streams
                for each in stream.operations
            )
        removals = [each.removal for each in self.streams if each.removal is not None]
        return {
            **totals,
            "removed": sum(sum(each.removed.values()) for each in removals),
            "kept": sum(each.kept for each in removals),
            "rejected": sum(sum(each.rejected.values()) for each in self.streams),
        }

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be sent or removed."""
        totals = self.totals
        return not any(
            totals[name] for name in ("created", "changed", "sent", "removed")
        )


# As text


def entries(plan: Plan) -> Iterator[Entry]:
    """Yield the lines of a plan, with the figures of each for a structured log.

    Args:
        plan: The plan.

    Yields:
        What it is, a table by stream, and the totals.
    """
    compared = f", compared with {plan.snapshot}" if plan.snapshot else ""
    yield Entry(f"Plan for {plan.destination}{compared}; nothing was sent", {})
    if plan.streams:
        yield from _table(plan)
    else:
        yield Entry("No streams were loaded", {})
    for figure in FIGURES:
        count = plan.figures.get(figure.name, 0)
        if count or figure.always:
            text = figure.one if count == 1 else figure.many
            yield Entry(f"{count:,} {text}", {})
    totals = plan.totals
    # A log record has a field of its own that is named `created`.
    fields = {FIELDS.get(name, name): count for name, count in totals.items()}
    yield Entry(
        _total_line(totals), {"event_type": "plan", **fields, **dict(plan.figures)}
    )


FIELDS: Final = {
    "created": "to_create",
    "changed": "to_change",
    "sent": "to_send",
    "removed": "to_remove",
}
"""The fields of a structured log for totals."""


class _Row(NamedTuple):
    """A line of the table: a text and its numbers by column."""

    indent: int
    text: str
    numbers: Mapping[str, int] = {}
    fields: Mapping[str, Any] = {}


COLUMNS: Final = {
    "read": "read",
    "created": "create",
    "changed": "change",
    "unchanged": "unchanged",
    "sent": "send",
    "skipped": "skip",
    "rejected": "reject",
    "removed": "remove",
    "kept": "keep",
}
"""The columns of the table and their heads; those without numbers are left out."""


def _table(plan: Plan) -> Iterator[Entry]:
    rows = [row for stream in plan.streams for row in _rows(stream)]
    used = {name for row in rows for name, number in row.numbers.items() if number}
    columns = [name for name in COLUMNS if name in used | {"read"}]
    texts = ["  " * row.indent + row.text for row in rows]
    cells = [
        [f"{row.numbers[name]:,}" if row.numbers.get(name) else "" for name in columns]
        for row in rows
    ]
    heads = [COLUMNS[name] for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    # A text without numbers may be longer than the others.
    with_numbers = [each for each, row in zip(texts, rows, strict=True) if row.numbers]
    first = max(map(len, ["stream", *with_numbers]))

    def line(text: str, numbers: Iterable[str]) -> str:
        padded = [each.rjust(w) for each, w in zip(numbers, widths, strict=True)]
        return "  ".join([text.ljust(first), *padded]).rstrip()

    yield Entry(line("stream", heads), {})
    yield Entry("  ".join("-" * width for width in (first, *widths)), {})
    for row, text, numbers in zip(rows, texts, cells, strict=True):
        yield Entry(line(text, numbers), dict(row.fields))


def _rows(stream: StreamPlan) -> Iterator[_Row]:
    fields = {"event_type": "stream_plan", **_fields(stream)}
    yield _Row(0, stream.stream, {"read": stream.read}, fields)
    for each in stream.operations:
        numbers = {
            name: getattr(each, name)
            for name in ("created", "changed", "unchanged", "sent")
        }
        yield _Row(1, each.operation, numbers)
        column = "changed" if each.changed else "sent"
        shown = [*each.attributes.items()][:SHOWN_ATTRIBUTES]
        for name, count in shown:
            yield _Row(2, name, {column: count})
        rest = len(each.attributes) - len(shown)
        if rest:
            yield _Row(2, f"and {rest:,} more")
    for column, counts in (("skipped", stream.skipped), ("rejected", stream.rejected)):
        for reason, count in sorted(counts.items()):
            yield _Row(1, reason, {column: count})
    if stream.removal is not None:
        yield from _removal_rows(stream.removal)


def _removal_rows(removal: RemovalPlan) -> Iterator[_Row]:
    for kind, count in removal.removed.items():
        if count:
            yield _Row(1, f"missing {kind}", {"removed": count})
    if removal.kept:
        yield _Row(1, "missing, but not to remove", {"kept": removal.kept})
    if removal.refusal:
        yield _Row(1, f"not removed: {removal.refusal}")


def _fields(stream: StreamPlan) -> dict[str, Any]:
    fields = asdict(stream)
    fields["stream_name"] = fields.pop("stream")
    for name in ("skipped", "rejected"):
        fields[f"{name}_by_reason"] = fields.pop(name)
    return fields


def _total_line(totals: Mapping[str, int]) -> str:
    to_do = [
        f"{totals[name]:,} to {COLUMNS[name]}"
        for name in ("created", "changed", "sent", "removed")
        if totals[name]
    ]
    rest = [
        f"{totals[name]:,} {name}"
        for name in ("unchanged", "kept", "rejected")
        if totals[name]
    ]
    parts = [", ".join(to_do) or "nothing to send", ", ".join(rest)]
    return f"Plan: {'; '.join(filter(None, parts))}"
