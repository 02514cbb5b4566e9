"""What a run changes, counted by people and objects instead of records.

A person of whom a run has several records counts once, so the figures do not depend on
how fast answers come: a plan and the run after it have the same ones.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from target_customerio.snapshot.file import MEMBERSHIP, OBJECT, PERSON
from target_customerio.snapshot.holds import BitSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_customerio.snapshot.comparison import Decision
    from target_customerio.snapshot.streams import Stream


COMPARED = {
    "person identify": PERSON,
    "object identify": OBJECT,
    "object identify_anonymous": OBJECT,
    "object add_relationships": OBJECT,
    "segment add": MEMBERSHIP,
}
"""The operations that are compared, and the kind of what they are about."""


class Figures(Struct):
    """The figures of one operation of a stream.

    Attributes:
        created: How many people or objects did not exist, as far as is known.
        changed: How many get other attributes or relationships.
        unchanged: How many stay as they are.
        attributes: How many get another value of an attribute, by its name.
    """

    created: int
    changed: int
    unchanged: int
    attributes: dict[str, int]


class _Sets:
    def __init__(self) -> None:
        self.created = BitSet()
        self.changed = BitSet()
        self.attributes: defaultdict[str, BitSet] = defaultdict(BitSet)


class Tally:
    """Counts what a run changes; in memory at one bit for an entry and an attribute."""

    def __init__(self) -> None:
        """Start at zero."""
        self._sets: defaultdict[tuple[int, str], _Sets] = defaultdict(_Sets)

    def add(self, stream: Stream, decisions: Iterable[Decision]) -> None:
        """Count decisions on operations of a stream."""
        for decision in decisions:
            operation, number = decision.operation, decision.entry
            if operation is None or not number or operation.label not in COMPARED:
                continue
            sets = self._sets[stream.number, operation.label]
            if decision.change == "created":
                sets.created.add(number)
            elif number not in sets.created:
                sets.changed.add(number)
            for name in decision.attributes:
                sets.attributes[name].add(number)

    def figures(self, stream: Stream) -> dict[str, Figures]:
        """Return the figures of a stream by operation, before its run is ended."""
        return {
            label: self._figures(stream, label, sets)
            for (number, label), sets in self._sets.items()
            if number == stream.number
        }

    def _figures(self, stream: Stream, label: str, sets: _Sets) -> Figures:
        sent = BitSet()
        sent.update(sets.created)
        sent.update(sets.changed)
        seen = BitSet()
        seen.update(stream.holds.seen[COMPARED[label]])
        seen.difference_update(sent)
        return Figures(
            len(sets.created),
            len(sets.changed),
            len(seen),
            {name: len(numbers) for name, numbers in sets.attributes.items()},
        )
