"""Alias: two profiles become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.identifiers import merged_person
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonMerge, person_identity

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream


def convert(
    call: Call,
    stream: Stream,  # noqa: ARG001 - every call is converted alike
) -> PersonMerge:
    """Convert an alias call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The merge of ``previousId`` into ``userId``.

    Raises:
        RejectedRecord: It does not name two people.
    """
    primary = merged_person(call, "userId", "id")
    secondary = merged_person(call, "previousId")
    if person_identity(primary) == person_identity(secondary):
        raise RejectedRecord(
            "same_person", "previousId", "nobody can be merged with themselves"
        )
    return PersonMerge(primary=primary, secondary=secondary)
