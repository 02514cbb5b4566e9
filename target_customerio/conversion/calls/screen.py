"""Screen: a screen view, or the event that other destinations make of one.

Source of the event's name: "Screen" in Segment's and RudderStack's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_customerio.conversion.containers import lookup
from target_customerio.conversion.happenings import happening, name_of
from target_customerio.errors import RejectedRecord
from target_customerio.operations import PersonEvent, PersonScreen

if TYPE_CHECKING:
    from target_customerio.conversion.layout import Call
    from target_customerio.conversion.stream import Stream

VIEWED_EVENT = "Viewed {} Screen"
NAMELESS = "Undefined"


def convert(call: Call, stream: Stream) -> PersonScreen | PersonEvent:
    """Convert a screen call.

    Args:
        call: The call.
        stream: The stream that the record belongs to.

    Returns:
        The screen view, or the event.

    Raises:
        RejectedRecord: The call cannot become either.
    """
    name = (
        name_of(call.fields.get("name"), "name")
        or name_of(call.fields.get("event"), "event")
        or name_of(lookup(call.body, "name"), "properties.name")
    )
    known_as = f"screen:{name or NAMELESS}"
    if stream.settings.screen_events == "viewed_event":
        viewed = VIEWED_EVENT.format(name or NAMELESS)
        return happening(PersonEvent, viewed, call, stream, known_as)
    if name is None:
        raise RejectedRecord("required", "name", "missing name of the screen view")
    return happening(PersonScreen, name, call, stream, known_as)
