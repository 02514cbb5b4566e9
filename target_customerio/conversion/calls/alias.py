"""Alias: two profiles become one, or a person gets their anonymous events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.calls.identify import UPDATE_ONLY
from target_customerio.conversion.identifiers import identifier, merged_person
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonIdentify, PersonMerge, person_identity

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream
    from target_customerio.operations import Attributes, PersonIdentifiers


def convert(call: Call, stream: Stream) -> PersonMerge | PersonIdentify:
    """Convert an alias call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The merge of ``previousId`` into ``userId``. Where ``previousId`` is only an
        anonymous id, the identify that gives the anonymous events to ``userId``.

    Raises:
        RejectedRecord: It does not name two people.
    """
    primary = merged_person(call, stream, "userId", "id")
    anonymous_id = _anonymous_id(call, stream)
    if anonymous_id is not None:
        if anonymous_id in primary.values():
            raise _same_person()
        return _joined(primary, anonymous_id, stream)
    secondary = merged_person(call, stream, "previousId")
    if person_identity(primary) == person_identity(secondary):
        raise _same_person()
    return PersonMerge(primary=primary, secondary=secondary)


def _joined(
    person: PersonIdentifiers, anonymous_id: str, stream: Stream
) -> PersonIdentify:
    attributes: Attributes = {"anonymous_id": anonymous_id}
    if stream.settings.update_only:
        attributes |= UPDATE_ONLY
    return PersonIdentify(identifiers=person, attributes=attributes)


def _same_person() -> RejectedRecord:
    return RejectedRecord(
        "same_person", "previousId", "a person cannot be merged with themselves"
    )


def _anonymous_id(call: Call, stream: Stream) -> str | None:
    """Return the anonymous id that ``previousId`` is, unless people go by it."""
    if stream.settings.anonymous_identify == "use_as_id":
        return None
    anonymous_id = identifier(call.fields.get("anonymousId"), "anonymousId")
    previous_id = identifier(call.fields.get("previousId"), "previousId")
    return anonymous_id if anonymous_id == previous_id else None
