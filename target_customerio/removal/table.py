"""What is missing from the last runs of streams, as a table in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from target_customerio.plan.counts import why_kept
from target_customerio.results.summary import LogLine
from target_customerio.snapshot.tables import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_customerio.snapshot.missing import Missing, Removal


def removal_lines(removals: Sequence[Removal]) -> Iterator[LogLine]:
    """Yield the table of what is missing, with its figures for a structured log."""
    rows: list[tuple[str, ...]] = []
    fields = []
    for removal in removals:
        if not removal.kinds:
            rows.append((removal.stream.title, "", "", "", "refused", ""))
            fields.append(_fields(removal, "", None))
        for kind, missing in _shown(removal):
            rows.append(_row(removal, kind, missing))
            fields.append(_fields(removal, KINDS[kind], missing))
    lines = tabulate(
        rows,
        headers=["stream", "", "held before", "missing", "to remove", "kept"],
        tablefmt="simple",
        disable_numparse=True,  # a stream may be named 007
        colalign=["left", "left", "right", "right", "right", "left"],
    ).splitlines()
    for line, figures in zip(lines, [{}, {}, *fields], strict=True):
        yield LogLine(line.rstrip(), figures)


def _shown(removal: Removal) -> Sequence[tuple[int, Missing]]:
    """Return the kinds of which a stream held anything; the last kind if none."""
    kinds = [*removal.kinds.items()]
    return [each for each in kinds if each[1].held_before] or kinds[-1:]


def _row(removal: Removal, kind: int, missing: Missing) -> tuple[str, ...]:
    return (
        removal.stream.title,
        KINDS[kind],
        f"{missing.held_before:,}",
        f"{missing.missing:,}",
        "refused" if removal.refusal else f"{len(missing.to_remove):,}",
        ", ".join(why_kept(missing.kept)),
    )


def _fields(removal: Removal, kind: str, missing: Missing | None) -> dict[str, object]:
    figures: dict[str, object] = {
        "event_type": "removal",
        "stream_name": removal.stream.title,
        "kind": kind,
        "refusal": removal.refusal,
    }
    if missing is None:
        return figures
    return {
        **figures,
        "held": missing.held_before,
        "missing": missing.missing,
        "to_remove": 0 if removal.refusal else len(missing.to_remove),
        "kept_for_other_streams": missing.kept.held,
        "kept_for_other_reasons": missing.kept.total - missing.kept.held,
    }
