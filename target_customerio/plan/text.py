"""A plan as the text that is logged, with its figures for a structured log."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from target_customerio.results.counters import figure_lines, listed
from target_customerio.results.summary import LogLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from target_customerio.plan.model import Plan, RemovalPlan, StreamPlan

SHOWN_ATTRIBUTES: Final = 12
"""Maximum attributes of an operation that the text shows; the value has all of them."""


def plan_lines(plan: Plan) -> Iterator[LogLine]:
    """Yield the lines of a plan, with the figures of each for a structured log.

    Yields:
        What it is, a table by stream, and the totals.
    """
    compared = f", compared with {plan.snapshot}" if plan.snapshot else ""
    yield LogLine(f"Plan for {plan.destination}{compared}; nothing was sent", {})
    if plan.streams:
        yield from _table(plan)
    else:
        yield LogLine("No streams were loaded", {})
    for count, text in figure_lines(plan.figures):
        yield LogLine(f"{count:,} {text}", {})
    totals = plan.totals
    # A log record has a field of its own that is named `created`.
    fields = {FIELDS.get(name, name): count for name, count in totals.items()}
    yield LogLine(
        _total_line(totals, refusals(plan)),
        {"event_type": "plan", **fields, **dict(plan.figures)},
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


def _table(plan: Plan) -> Iterator[LogLine]:
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

    yield LogLine(line("stream", heads), {})
    yield LogLine("  ".join("-" * width for width in (first, *widths)), {})
    for row, text, numbers in zip(rows, texts, cells, strict=True):
        yield LogLine(line(text, numbers), dict(row.fields))


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
        for reason in removal.kept_because:
            yield _Row(2, reason)
    if removal.refusal:
        yield _Row(1, f"not removed: {removal.refusal}")


def _fields(stream: StreamPlan) -> dict[str, Any]:
    fields = asdict(stream)
    fields["stream_name"] = fields.pop("stream")
    for name in ("skipped", "rejected"):
        fields[f"{name}_by_reason"] = fields.pop(name)
    return fields


def refusals(plan: Plan) -> str:
    """Return for which streams a removal would be refused, as text."""
    names = plan.refused_streams
    return f"removal refused for {listed(names)}" if names else ""


def _total_line(totals: Mapping[str, int], refused: str) -> str:
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
    parts = [", ".join(to_do) or "nothing to send", ", ".join(rest), refused]
    return f"Plan: {'; '.join(filter(None, parts))}"
