"""Segment: a person joins a manual segment, or leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_customerio.conversion.identifiers import PersonFinder, identifier
from target_customerio.errors import RejectedRecord
from target_customerio.operations import SegmentAdd, SegmentRemove

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import JSON, SegmentChange

CHANGES: Final[dict[JSON, type[SegmentChange]]] = {
    "add": SegmentAdd,
    "remove": SegmentRemove,
}

_member: Final = PersonFinder(phone=False)


def convert(
    call: Call,
    stream: Stream,
) -> SegmentChange:
    """Convert a row of segment membership.

    Args:
        call: The row.
        stream: The stream that the record belongs to.

    Returns:
        The change of the segment.

    Raises:
        RejectedRecord: The segment or the person is missing, or the action is unknown.
    """
    action = call.fields.get("action", "add")
    if stream.deletes(call):
        action = "remove"
    change = CHANGES.get(action) if isinstance(action, str) else None
    if change is None:
        raise RejectedRecord(
            "unknown_action",
            "action",
            "the action must be one of " + ", ".join(CHANGES),
        )
    return change(segment_id=_segment(call), identifiers=_member.require(call, stream))


def _segment(call: Call) -> str:
    segment_id = identifier(call.fields.get("segmentId"), "segmentId")
    if segment_id is None:
        raise RejectedRecord("required", "segmentId", "missing id of the segment")
    if not (segment_id.isascii() and segment_id.isdecimal()):
        raise RejectedRecord(
            "invalid_type", "segmentId", "the id of a segment must be a number"
        )
    return segment_id
