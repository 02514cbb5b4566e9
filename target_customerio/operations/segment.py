"""Members of manual segments."""

from __future__ import annotations

from target_customerio.operations.base import (
    JSON,
    Operation,
    PersonIdentifiers,
    person_identity,
)


class SegmentChange(Operation, kw_only=True):
    """One person's membership of a manual segment.

    Source: ``POST /api/v1/segments/{segment_id}/add_customers`` and
    ``remove_customers``, which take many people of one kind of identifier.
    """

    segment_id: str
    identifiers: PersonIdentifiers

    def identities(self) -> tuple[str, ...]:
        """Return the person."""
        return (person_identity(self.identifiers),)

    def payload(self) -> JSON:
        """Return the identifier alone; its kind and the segment are in the address."""
        (value,) = self.identifiers.values()
        return value


class SegmentAdd(SegmentChange, kw_only=True):
    """Add a person to a manual segment."""

    label = "segment add"


class SegmentRemove(SegmentChange, kw_only=True):
    """Remove a person from a manual segment."""

    label = "segment remove"
