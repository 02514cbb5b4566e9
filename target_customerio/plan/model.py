"""A plan as a value: every figure of what a run would do.

``Pipeline.plan`` holds it once a run with the setting ``plan`` has ended, and
:func:`deliver` returns it in ``DeliverySummary.plan``. It has no values of records; an
attribute whose name may be a value is left out of the names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        changed: In the snapshot, with attributes or relationships that differ from the
            new ones or are unknown.
        unchanged: In the snapshot, with nothing to send.
        sent: Operations that would be sent without a comparison.
        attributes: How many of the changed would get each attribute; without a
            snapshot, how many operations have the attribute. The largest number comes
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
        kept: How many are missing from the stream and would stay, since another stream
            holds them or they cannot be removed safely.
        refusal: Why the removal would be refused; empty if it would not.
        kept_because: How many would stay for each reason, as text.
        refused: How many would be removed by kind if the removal were not refused;
            empty if the last run of the stream does not show that.
    """

    removed: Mapping[str, int] = field(default_factory=dict)
    kept: int = 0
    refusal: str = ""
    kept_because: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)


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
        figures: Counters of the whole run by their names (see
            :mod:`target_customerio.results.counters`), such as ``recent_events``:
            events that could trigger campaigns.
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
            "refused": sum(sum(each.refused.values()) for each in removals),
            "rejected": sum(sum(each.rejected.values()) for each in self.streams),
        }

    @property
    def refused_streams(self) -> list[str]:
        """The names of the streams whose removal would be refused."""
        return [
            each.stream
            for each in self.streams
            if each.removal is not None and each.removal.refusal
        ]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be sent, removed or refused to be removed."""
        totals = self.totals
        return not self.refused_streams and not any(
            totals[name] for name in ("created", "changed", "sent", "removed")
        )
